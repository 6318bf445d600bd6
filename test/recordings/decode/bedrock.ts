/** Amazon Bedrock's Converse, and ConverseStream in Amazon's binary events. */
import { crc32 } from "node:zlib";
import { at, count, type Counted, type Decoded, type Json, list, NOTHING, parsed, text } from "./decoded.ts";

const FINISH: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool-calls",
  guardrail_intervened: "content-filter",
  content_filtered: "content-filter",
  malformed_model_output: "error",
  malformed_tool_use: "error",
};

const usageOf = (usage: unknown): Counted | undefined =>
  usage === undefined || usage === null
    ? undefined
    : {
        input:
          count(at(usage, "inputTokens")) +
          count(at(usage, "cacheReadInputTokens")) +
          count(at(usage, "cacheWriteInputTokens")),
        output: count(at(usage, "outputTokens")),
        cached: count(at(usage, "cacheReadInputTokens")),
        reasoning: 0,
      };

export function decodeConverse(body: Json): Decoded {
  if (body["output"] === undefined) return { ...NOTHING, error: { message: text(body["message"]), code: "" } };
  const blocks = list(at(body, "output", "message", "content"));
  const calls = blocks.filter((block) => block["toolUse"] !== undefined);
  return {
    text: blocks
      .flatMap((block) => [block, ...list(at(block, "citationsContent", "content"))])
      .map((block) => text(block["text"]))
      .join(""),
    refusal: "",
    thinking: blocks.map((block) => text(at(block, "reasoningContent", "reasoningText", "text"))).join(""),
    calls: calls.map((block) => ({ name: text(at(block, "toolUse", "name")), args: at(block, "toolUse", "input") })),
    callIds: calls.map((block) => text(at(block, "toolUse", "toolUseId"))),
    finish: FINISH[text(body["stopReason"])],
    usage: usageOf(body["usage"]),
    error: undefined,
  };
}

/** Each event with its headers; a torn one at the end is none. */
function messagesIn(bytes: Buffer): { readonly headers: Readonly<Record<string, string>>; readonly body: Json }[] {
  const messages = [];
  for (let start = 0; start + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(start);
    const message = bytes.subarray(start, start + length);
    if (message.length < length) break;
    if (crc32(message.subarray(0, -4)) !== message.readUInt32BE(length - 4)) throw new Error("a broken recording");
    const end = 12 + message.readUInt32BE(4);
    const headers: Record<string, string> = {};
    for (let from = 12; from < end; ) {
      const name = message.subarray(from + 1, from + 1 + message.readUInt8(from)).toString();
      from += 2 + name.length;
      const size = message.readUInt16BE(from);
      headers[name] = message.subarray(from + 2, from + 2 + size).toString();
      from += 2 + size;
    }
    messages.push({ headers, body: JSON.parse(message.subarray(end, -4).toString() || "{}") as Json });
    start += length;
  }
  return messages;
}

export function decodeConverseStream(bytes: Buffer): Decoded {
  const blocks = new Map<unknown, { text: string; thinking: string; call: Json | undefined; args: string }>();
  let stopReason: unknown;
  let usage: unknown;
  let error: Decoded["error"];
  for (const { headers, body } of messagesIn(bytes)) {
    if (headers[":message-type"] !== "event") {
      error = { message: text(body["message"]), code: headers[":exception-type"] ?? headers[":error-code"] ?? "" };
      break;
    }
    stopReason = body["stopReason"] ?? stopReason;
    usage = body["usage"] ?? usage;
    const index = body["contentBlockIndex"];
    if (index === undefined) continue;
    const block = blocks.get(index) ?? { text: "", thinking: "", call: undefined, args: "" };
    blocks.set(index, block);
    block.call ??= at(body, "start", "toolUse") as Json | undefined;
    block.text += text(at(body, "delta", "text"));
    block.thinking += text(at(body, "delta", "reasoningContent", "text"));
    block.args += text(at(body, "delta", "toolUse", "input"));
  }
  const content = [...blocks.values()].flatMap((block) => [
    ...(block.thinking === "" ? [] : [{ reasoningContent: { reasoningText: { text: block.thinking } } }]),
    ...(block.text === "" ? [] : [{ text: block.text }]),
    ...(block.call === undefined ? [] : [{ toolUse: { ...block.call, input: parsed(block.args) } }]),
  ]);
  const whole = decodeConverse({ output: { message: { content } }, stopReason, usage });
  return { ...whole, error, finish: error === undefined ? whole.finish : undefined };
}
