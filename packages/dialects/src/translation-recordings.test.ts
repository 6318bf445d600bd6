import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  answerEssence,
  type AnswerEssence,
  eventsThrough,
  except,
  names,
  parseBytes,
  requestEssence,
  requestThrough,
  responseOf,
  responseThrough,
} from "../test/translation-kit.ts";
import type { DialectName, JsonObject } from "./core.ts";
import { dialects } from "./dialects.ts";

/**
 * Recorded traffic of Anthropic and Google, decoded here a second time by means as simple as can be, and compared: read alone, and through
 * every other dialect and back. The recordings are not part of the project: WEIR_FIXTURES names their folder.
 */
const directory = process.env.WEIR_FIXTURES ?? join(import.meta.dirname, "../../../../shared/fixtures");
const stems = existsSync(directory)
  ? readdirSync(directory)
      .filter((file) => /^(anthropic|gemini)-.*\.request\.json$/.test(file))
      .map((file) => file.slice(0, -".request.json".length))
  : [];
const dialectOf = (stem: string): DialectName => (stem.startsWith("gemini") ? "gemini-generate" : "anthropic-messages");

interface Recorded {
  uri: string;
  body: JsonObject;
  response_status: number;
  response_file: string;
}
const recordedOf = (stem: string): Recorded =>
  JSON.parse(readFileSync(join(directory, `${stem}.request.json`), "utf8")) as Recorded;
const answerOf = (recorded: Recorded): Buffer => readFileSync(join(directory, recorded.response_file));

/** As much of the recorded bodies as is compared. */
interface AnthropicUsage {
  input_tokens?: number | null;
  output_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
  cache_read_input_tokens?: number | null;
  output_tokens_details?: { thinking_tokens: number } | null;
}
interface Block {
  type: string;
  text?: string;
  thinking?: string;
  name?: string;
  input?: unknown;
}
interface AnthropicEvent {
  type: string;
  index: number;
  message: { usage: AnthropicUsage };
  content_block: Block;
  delta: { type: string; text?: string; thinking?: string; partial_json?: string; stop_reason?: string };
  usage: AnthropicUsage;
}
interface Gemini {
  candidates?: {
    content?: { parts?: { text?: string; thought?: boolean; functionCall?: { name: string; args?: unknown } }[] };
    finishReason?: string;
  }[];
  usageMetadata?: Record<string, number>;
}

const STOP: Record<string, string> = {
  end_turn: "stop",
  stop_sequence: "stop",
  tool_use: "tool-calls",
  max_tokens: "length",
  refusal: "refused",
  pause_turn: "pause",
  model_context_window_exceeded: "length",
};

function decodeAnthropic(blocks: readonly Block[], stop: string | undefined, usage: AnthropicUsage): AnswerEssence {
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    text: blocks.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join(""),
    thinking: blocks.map((block) => (block.type === "thinking" ? (block.thinking ?? "") : "")).join(""),
    calls: blocks
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ name: block.name ?? "", arguments: block.input })),
    finish: STOP[stop ?? ""] ?? "?",
    usage: {
      inputTokens: (usage.input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0) + cached,
      outputTokens: usage.output_tokens ?? 0,
      cachedInputTokens: cached,
      reasoningTokens: usage.output_tokens_details?.thinking_tokens ?? 0,
    },
  };
}

function decodeAnthropicStream(text: string): AnswerEssence {
  const blocks: Block[] = [];
  const inputs: string[] = [];
  let usage: AnthropicUsage = {};
  let stop: string | undefined;
  for (const line of text.split("\n")) {
    if (!line.startsWith("data:")) continue;
    const event = JSON.parse(line.slice(5)) as AnthropicEvent;
    if (event.type === "message_start") usage = event.message.usage;
    if (event.type === "content_block_start") blocks[event.index] = { ...event.content_block };
    if (event.type === "content_block_delta") {
      const block = blocks[event.index];
      if (block === undefined) throw new Error("a delta without a block");
      if (event.delta.text !== undefined) block.text = (block.text ?? "") + event.delta.text;
      if (event.delta.thinking !== undefined) block.thinking = (block.thinking ?? "") + event.delta.thinking;
      inputs[event.index] = (inputs[event.index] ?? "") + (event.delta.partial_json ?? "");
    }
    if (event.type === "message_delta") {
      stop = event.delta.stop_reason;
      usage = { ...usage, ...event.usage };
    }
  }
  for (const [index, input] of inputs.entries()) {
    const block = blocks[index];
    if (block !== undefined && input !== undefined && input !== "") block.input = JSON.parse(input);
  }
  return decodeAnthropic(blocks, stop, usage);
}

function decodeGemini(chunks: readonly Gemini[]): AnswerEssence {
  const candidates = chunks.flatMap((chunk) => chunk.candidates?.slice(0, 1) ?? []);
  const parts = candidates.flatMap((candidate) => candidate.content?.parts ?? []);
  const usage = chunks.findLast((chunk) => chunk.usageMetadata !== undefined)?.usageMetadata;
  const calls = parts.flatMap(({ functionCall }) =>
    functionCall === undefined ? [] : [{ name: functionCall.name, arguments: functionCall.args ?? {} }],
  );
  const finish = candidates.findLast((candidate) => candidate.finishReason !== undefined)?.finishReason;
  const count = (key: string): number => usage?.[key] ?? 0;
  return {
    text: parts.map((part) => (part.thought === true ? "" : (part.text ?? ""))).join(""),
    thinking: parts.map((part) => (part.thought === true ? (part.text ?? "") : "")).join(""),
    calls,
    finish: finish === "STOP" ? (calls.length > 0 ? "tool-calls" : "stop") : finish === "MAX_TOKENS" ? "length" : "?",
    usage: {
      inputTokens: count("promptTokenCount") + count("toolUsePromptTokenCount"),
      outputTokens: count("candidatesTokenCount") + count("thoughtsTokenCount"),
      cachedInputTokens: count("cachedContentTokenCount"),
      reasoningTokens: count("thoughtsTokenCount"),
    },
  };
}

function decode(stem: string, streamed: boolean, text: string): AnswerEssence {
  if (dialectOf(stem) === "gemini-generate") {
    const chunks = streamed
      ? text.split("\n").flatMap((line) => (line.startsWith("data:") ? [JSON.parse(line.slice(5)) as Gemini] : []))
      : [JSON.parse(text) as Gemini];
    return decodeGemini(chunks);
  }
  if (streamed) return decodeAnthropicStream(text);
  const body = JSON.parse(text) as { content: Block[]; stop_reason: string; usage: AnthropicUsage };
  return decodeAnthropic(body.content, body.stop_reason, body.usage);
}

/** A paused turn has ended, for dialects that know no pause. */
const forOthers = (essence: AnswerEssence): AnswerEssence =>
  essence.finish === "pause" ? { ...essence, finish: "stop" } : essence;

it.skipIf(stems.length > 0)(`recordings of Anthropic and Google: none in ${directory}, nothing is compared`, () => {
  expect(stems).toEqual([]);
});

describe.each(stems)("%s", (stem) => {
  const recorded = recordedOf(stem);
  const answer = answerOf(recorded);
  const name = dialectOf(stem);
  const dialect = dialects[name];
  const streamed = recorded.response_file.endsWith(".sse");
  const succeeded = recorded.response_status < 300;

  it("its request goes through every dialect", () => {
    const model = /models\/([^:/]+):/.exec(recorded.uri)?.[1] ?? "";
    const added = name === "gemini-generate" ? { model, stream: streamed } : {};
    const request = dialect.parseRequest({ ...recorded.body, ...added });
    const essence = requestEssence(request);
    const body = JSON.stringify(recorded.body);
    for (const { text } of essence.turns) expect(body).toContain(JSON.stringify(text).slice(1, 40));
    for (const to of names) {
      const { value, dropped } = requestThrough(dialects[to], request);
      if (to === name) expect(dropped).toEqual([]);
      expect(except(requestEssence(value), dropped)).toEqual({
        ...except(essence, dropped),
        maxOutputTokens: request.maxOutputTokens ?? value.maxOutputTokens,
      });
    }
  });

  it.skipIf(succeeded)("its failure is read", () => {
    const body = JSON.parse(answer.toString()) as { error: { message: string } };
    const { error } = dialect.parseError(recorded.response_status, body, () => undefined);
    expect(error.status).toBe(recorded.response_status);
    expect(error.message).toBe(body.error.message);
  });

  it.skipIf(!succeeded || streamed)("its answer is read, and goes through every dialect", () => {
    const body = JSON.parse(answer.toString()) as JsonObject;
    const expected = decode(stem, false, answer.toString());
    const response = dialect.parseResponse(body);
    expect(answerEssence(response)).toEqual(expected);
    expect(dialect.inspectResponse(body).usage).toEqual(response.usage);
    expect(dialect.inspectResponse(body).finishReason).toBe(response.choices[0]?.finishReason);
    for (const to of names) {
      const there = responseThrough(dialects[to], response).value;
      expect(answerEssence(there)).toEqual(to === name ? expected : forOthers(expected));
      expect(answerEssence(responseThrough(dialect, there).value)).toEqual(
        to === name ? expected : forOthers(expected),
      );
    }
    // The same dialect keeps what only it knows.
    const { body: again, dropped } = dialect.renderResponse(response, {
      request: requestOf(),
      requestId: "r",
      nowS: 0,
    });
    expect(dropped).toEqual([]);
    expect(again).toMatchObject(withoutNulls(body));
  });

  it.skipIf(!succeeded || !streamed)("its stream is read, cut anywhere, and goes through every dialect", () => {
    const expected = decode(stem, true, answer.toString());
    for (const cut of [1, 13, 1024, answer.length]) {
      const events = parseBytes(dialect, answer, cut);
      expect(answerEssence(responseOf(events))).toEqual(expected);
      for (const to of names) {
        const there = eventsThrough(dialects[to], events, cut).value;
        expect(answerEssence(responseOf(there))).toEqual(to === name ? expected : forOthers(expected));
        const back = eventsThrough(dialect, there, cut).value;
        expect(answerEssence(responseOf(back))).toEqual(to === name ? expected : forOthers(expected));
      }
    }
  });

  it.skipIf(!succeeded || !streamed)(
    "its stream goes by unchanged, its end kept back; cut short it is interrupted",
    () => {
      const expected = decode(stem, true, answer.toString());
      for (const cut of [1, 17, answer.length]) {
        const watcher = dialect.streamWatcher({ hideUsage: false });
        const shown: Uint8Array[] = [];
        for (let at = 0; at < answer.length; at += cut) {
          // A copy, as a socket's buffer may be used again.
          const bytes = watcher.push(Buffer.from(answer.subarray(at, at + cut)));
          if (bytes !== undefined) shown.push(Buffer.from(bytes));
        }
        const end = watcher.end();
        expect(Buffer.concat([...shown, end.terminal]).equals(answer)).toBe(true);
        expect(Buffer.concat(shown).toString()).not.toMatch(/message_stop|"finishReason"/);
        expect(watcher.started && watcher.done).toBe(true);
        expect(end.error).toBeUndefined();
        expect(end.usage).toMatchObject(expected.usage ?? {});
        const wrote = expected.text.length + expected.thinking.length + (name === "gemini-generate" ? 0 : 1);
        expect(end.outputCharacters).toBeGreaterThanOrEqual(Math.min(wrote, expected.text.length));
      }
      const short = dialect.streamWatcher({ hideUsage: false });
      const lastEvent = answer.toString().trimEnd().lastIndexOf("\n\n");
      short.push(answer.subarray(0, Math.max(0, lastEvent)));
      const end = short.end();
      expect(end.error?.reason).toBe("stream_interrupted");
      expect(end.terminal.length).toBe(0);
      expect(() => parseBytes(dialect, answer.subarray(0, Math.max(0, lastEvent)), 64)).toThrow(
        expect.objectContaining({ reason: "stream_interrupted" }),
      );
    },
  );
});

const requestOf = () => ({ model: "m", messages: [], stream: false });

/** A null says the same as absence. */
function withoutNulls(body: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(body, (_, value: unknown) => (value === null ? undefined : value))) as JsonObject;
}
