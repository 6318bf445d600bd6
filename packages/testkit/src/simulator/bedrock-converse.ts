import { encodeAwsEvent, type Json, type JsonObject } from "@weir/dialects";
import {
  type Asked,
  listOf,
  numberOf,
  objectOf,
  piecesOf,
  type Said,
  type SentEvent,
  type SimulatedDialect,
  stringOf,
  textIn,
} from "./answer.ts";

const STOP = { stop: "end_turn", length: "max_tokens", tool: "tool_use" } as const;
const EXCEPTIONS: Readonly<Record<number, string>> = {
  400: "ValidationException",
  403: "AccessDeniedException",
  404: "ResourceNotFoundException",
  408: "ModelTimeoutException",
  424: "ModelErrorException",
  429: "ThrottlingException",
  503: "ServiceUnavailableException",
};
const exceptionOf = (status: number, code?: string): string => code ?? EXCEPTIONS[status] ?? "InternalServerException";

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, and ConverseStream in Amazon's binary events */
export const bedrockConverse: SimulatedDialect = {
  ask(body, path): Asked {
    const messages = listOf(body["messages"]).map(objectOf);
    const results = blocksOf(messages.at(-1)).filter(({ toolResult }) => toolResult !== undefined);
    const config = objectOf(body["toolConfig"]);
    const format = objectOf(objectOf(body["outputConfig"])["textFormat"]);
    const schema = objectOf(objectOf(format["structure"])["jsonSchema"])["schema"];
    return {
      model: decodeURIComponent(/\/model\/([^/]+)\//.exec(path)?.[1] ?? ""),
      stream: path.includes("/converse-stream"),
      n: 1,
      inputText: [textIn(body["system"]), ...messages.map(({ content }) => textIn(content))].join(" "),
      lastUserText: textIn(messages.findLast(({ role }) => role === "user")?.["content"]),
      toolResult: results.length === 0 ? undefined : textIn(objectOf(results[0]?.["toolResult"])["content"]),
      tools: listOf(config["tools"])
        .map((tool) => objectOf(objectOf(tool)["toolSpec"]))
        .filter(({ name }) => name !== undefined)
        .map((spec) => ({ name: stringOf(spec["name"]), schema: objectOf(objectOf(spec["inputSchema"])["json"]) })),
      forcedTool: stringOf(objectOf(objectOf(config["toolChoice"])["tool"])["name"]) || undefined,
      schema: format["type"] === "json_schema" ? objectOf(JSON.parse(stringOf(schema)) as Json) : undefined,
      cap: numberOf(objectOf(body["inferenceConfig"])["maxTokens"]),
      wantsUsage: true,
    };
  },
  whole: (_, said, usage) => ({
    output: { message: { role: "assistant", content: [blockOf(said)] } },
    stopReason: STOP[said.finish],
    ...(usage ? { usage: usageOf(said) } : {}),
    metrics: { latencyMs: 1 },
  }),
  events(_, said, usage) {
    const events: SentEvent[] = [];
    const send = (event: string, value: JsonObject, tokens = 0): void => {
      // Padded, so that lengths tell nothing.
      events.push({ text: encodeAwsEvent({ event, data: JSON.stringify({ ...value, p: "abcdefgh" }) }), tokens });
    };
    const contentBlockIndex = 0;
    send("messageStart", { role: "assistant" });
    if (said.call !== undefined) {
      const { id, name } = said.call;
      send("contentBlockStart", { contentBlockIndex, start: { toolUse: { toolUseId: `tooluse_${id}`, name } } });
      const pieces = piecesOf(JSON.stringify(said.call.arguments));
      for (const input of pieces)
        send(
          "contentBlockDelta",
          { contentBlockIndex, delta: { toolUse: { input } } },
          said.outputTokens / pieces.length,
        );
    }
    for (const text of said.words) send("contentBlockDelta", { contentBlockIndex, delta: { text } }, 1);
    send("contentBlockStop", { contentBlockIndex });
    send("messageStop", { stopReason: STOP[said.finish] });
    send("metadata", { ...(usage ? { usage: usageOf(said) } : {}), metrics: { latencyMs: 1 } });
    return events;
  },
  streamType: "application/vnd.amazon.eventstream",
  error: (_status, _code, message) => ({ message }),
  errorHeaders: (status, code) => ({ "x-amzn-errortype": `${exceptionOf(status, code)}:http://internal.amazon.com/` }),
  errorEvent: (message) =>
    encodeAwsEvent({ event: "exception:modelStreamErrorException", data: JSON.stringify({ message }) }),
};

const blocksOf = (message: JsonObject | undefined): JsonObject[] => listOf(message?.["content"]).map(objectOf);

const blockOf = ({ call, words }: Said): JsonObject =>
  call === undefined
    ? { text: words.join("") }
    : { toolUse: { toolUseId: `tooluse_${call.id}`, name: call.name, input: call.arguments } };

const usageOf = ({ inputTokens, outputTokens }: Said): JsonObject => ({
  inputTokens,
  outputTokens,
  totalTokens: inputTokens + outputTokens,
});
