import type { JsonObject } from "@weir/dialects";
import {
  type Asked,
  dataEvent,
  listOf,
  numberOf,
  objectOf,
  type Said,
  type SentEvent,
  type SimulatedDialect,
  stringOf,
  textIn,
} from "./answer.ts";

const STATUS: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/** https://ai.google.dev/api/generate-content */
export const geminiGenerate: SimulatedDialect = {
  ask(body, path): Asked {
    const contents = listOf(body["contents"]).map(objectOf);
    const last = contents.at(-1);
    const result = listOf(last?.["parts"])
      .map((part) => objectOf(part)["functionResponse"])
      .find((part) => part !== undefined);
    const generation = objectOf(body["generationConfig"]);
    const calling = objectOf(objectOf(body["toolConfig"])["functionCallingConfig"]);
    const schema = generation["responseJsonSchema"] ?? generation["responseSchema"];
    return {
      model: decodeURIComponent(/models\/([^:/]+)/.exec(path)?.[1] ?? ""),
      stream: path.includes(":streamGenerateContent"),
      n: numberOf(generation["candidateCount"]) ?? 1,
      inputText: [objectOf(body["systemInstruction"]), ...contents].map(({ parts }) => textIn(parts)).join(" "),
      lastUserText: textIn(contents.findLast(({ role }) => role !== "model")?.["parts"]),
      toolResult: result === undefined ? undefined : JSON.stringify(objectOf(result)["response"]),
      tools: listOf(body["tools"])
        .flatMap((tool) => listOf(objectOf(tool)["functionDeclarations"]))
        .map(objectOf)
        .map((tool) => ({
          name: stringOf(tool["name"]),
          schema: objectOf(tool["parametersJsonSchema"] ?? tool["parameters"]),
        })),
      forcedTool: calling["mode"] === "NONE" ? "" : stringOf(listOf(calling["allowedFunctionNames"])[0]) || undefined,
      schema: schema === undefined ? undefined : objectOf(schema),
      cap: numberOf(generation["maxOutputTokens"]),
      wantsUsage: true,
    };
  },
  whole(asked, said, usage) {
    const parts = said.call === undefined ? [{ text: said.words.join("") }] : [callOf(said.call)];
    return answer(asked, said, parts, said.finish, usage, said.outputTokens);
  },
  events(asked, said, usage) {
    const events: SentEvent[] = said.words.map((text, index) => ({
      text: dataEvent(answer(asked, said, [{ text }], undefined, usage, index + 1)),
      tokens: 1,
    }));
    const last = said.call === undefined ? [{ text: "" }] : [callOf(said.call)];
    const text = dataEvent(answer(asked, said, last, said.finish, usage, said.outputTokens));
    return [...events, { text, tokens: said.call === undefined ? 0 : said.outputTokens }];
  },
  error: (code, _, message) => ({ error: { code, message, status: STATUS[code] ?? "UNKNOWN" } }),
  errorEvent: (message) => dataEvent({ error: { code: 500, message, status: "INTERNAL" } }),
};

const callOf = ({ name, arguments: args }: NonNullable<Said["call"]>): JsonObject => ({ functionCall: { name, args } });

function answer(
  { model, n }: Asked,
  { inputTokens }: Said,
  parts: JsonObject[],
  finish: Said["finish"] | undefined,
  usage: boolean,
  candidatesTokenCount: number,
): JsonObject {
  const finishReason = finish === "length" ? "MAX_TOKENS" : "STOP";
  const candidates = Array.from({ length: n }, (_, index) => ({
    content: { parts, role: "model" },
    ...(finish === undefined ? {} : { finishReason }),
    index,
  }));
  const usageMetadata = {
    promptTokenCount: inputTokens,
    candidatesTokenCount,
    totalTokenCount: inputTokens + candidatesTokenCount,
    promptTokensDetails: [{ modality: "TEXT", tokenCount: inputTokens }],
  };
  return { candidates, ...(usage ? { usageMetadata } : {}), modelVersion: model, responseId: "simulated" };
}
