import type {
  ChatEvent,
  ChatRequest,
  ChatResponse,
  DialectName,
  FinishReason,
  Json,
  JsonObject,
  Message,
  Part,
  Usage,
} from "../src/core.ts";
import type { Dialect, RenderContext } from "../src/dialect.ts";
import { dialects } from "../src/dialects.ts";
import { SseParser } from "../src/sse.ts";

/** What the translation tests share: the essence of requests and answers, and ways through a dialect. */

export const names = Object.keys(dialects) as DialectName[];
export const pairs = names.flatMap((from) => names.map((to) => [from, to] as const));
export const contextOf = (request: ChatRequest): RenderContext => ({
  request,
  requestId: "0190a0b0-0000-7000-8000-000000000001",
  nowS: 1_700_000_000,
});
export const anyRequest: ChatRequest = {
  model: "m",
  messages: [{ role: "user", parts: [{ type: "text", text: "hi" }] }],
  stream: true,
};

export interface Passage<T> {
  readonly value: T;
  readonly dropped: readonly string[];
}

/** A request written in a dialect and read again. Gemini's model and streaming are in its URL. */
export function requestThrough(dialect: Dialect, request: ChatRequest): Passage<ChatRequest> {
  const { body, dropped } = dialect.renderRequest(request);
  const wire = JSON.parse(JSON.stringify(body)) as JsonObject;
  if (dialect.name === "gemini-generate") Object.assign(wire, { model: request.model, stream: request.stream });
  return { value: dialect.parseRequest(wire), dropped };
}

export function responseThrough(dialect: Dialect, response: ChatResponse): Passage<ChatResponse> {
  const { body, dropped } = dialect.renderResponse(response, contextOf(anyRequest));
  return { value: dialect.parseResponse(JSON.parse(JSON.stringify(body)) as JsonObject), dropped };
}

/** Events written in a dialect, as bytes cut every `cut` bytes, and read again. */
export function eventsThrough(dialect: Dialect, events: readonly ChatEvent[], cut: number): Passage<ChatEvent[]> {
  const renderer = dialect.streamRenderer(contextOf(anyRequest));
  const shown = events.map((event) => renderer.push(event)).join("");
  const { preface, terminal } = renderer.end();
  return { value: parseBytes(dialect, Buffer.from(shown + preface + terminal), cut), dropped: renderer.dropped };
}

export function parseBytes(dialect: Dialect, bytes: Uint8Array, cut: number): ChatEvent[] {
  const sse = new SseParser();
  const parser = dialect.streamParser();
  const events: ChatEvent[] = [];
  for (let at = 0; at < bytes.length; at += cut)
    for (const event of sse.push(bytes.subarray(at, at + cut))) events.push(...parser.push(event));
  for (const event of sse.end()) events.push(...parser.push(event));
  events.push(...parser.end());
  return events;
}

/** An answer as the events that would stream it, text and arguments in pieces. */
export function eventsOf(response: ChatResponse, piece = 4): ChatEvent[] {
  const events: ChatEvent[] = [
    { type: "start", id: response.id, model: response.model, createdS: response.createdS, extra: response.extra },
  ];
  for (const choice of response.choices) {
    for (const [index, part] of choice.parts.entries()) {
      const say = (whole: string): void => {
        for (let at = 0; at < whole.length; at += piece)
          events.push({ type: "part-delta", choice: choice.index, index, text: whole.slice(at, at + piece) });
      };
      const start = (empty: Part): void =>
        void events.push({ type: "part-start", choice: choice.index, index, part: empty });
      if (part.type === "tool-call") {
        start({ ...part, arguments: "" });
        say(part.arguments);
      } else if (part.type === "text" || part.type === "thinking" || part.type === "refusal") {
        start({ ...part, text: "" });
        say(part.text);
      } else start(part);
      events.push({ type: "part-end", choice: choice.index, index });
    }
    events.push({
      type: "finish",
      choice: choice.index,
      reason: choice.finishReason,
      stopSequence: choice.stopSequence,
      extra: choice.extra,
    });
  }
  if (response.usage !== undefined) events.push({ type: "usage", usage: response.usage });
  return events;
}

/** The answer that events make up; fails on events out of order. */
export function responseOf(events: readonly ChatEvent[]): ChatResponse {
  const response: ChatResponse = { id: "", model: "", createdS: 0, choices: [] };
  const parts = new Map<string, Part>();
  const open = new Set<string>();
  for (const [at, event] of events.entries()) {
    if ((event.type === "start") !== (at === 0)) throw new Error(`${event.type} at ${at}`);
    switch (event.type) {
      case "start":
        Object.assign(response, { id: event.id, model: event.model, createdS: event.createdS });
        break;
      case "usage":
        response.usage = event.usage;
        break;
      case "finish":
        choiceOf(response, event.choice).finishReason = event.reason;
        choiceOf(response, event.choice).stopSequence = event.stopSequence;
        break;
      case "part-start": {
        const key = `${event.choice}/${event.index}`;
        if (parts.has(key)) throw new Error(`part ${key} starts twice`);
        const part = structuredClone(event.part);
        parts.set(key, part);
        open.add(key);
        choiceOf(response, event.choice).parts.push(part);
        break;
      }
      case "part-delta": {
        const key = `${event.choice}/${event.index}`;
        const part = parts.get(key);
        if (part === undefined || !open.has(key)) throw new Error(`delta of part ${key}, which is not open`);
        if (part.type === "tool-call") part.arguments += event.text;
        else if ("text" in part) part.text += event.text;
        else if (event.text !== "") throw new Error(`text for a ${part.type}`);
        if (event.signature !== undefined && part.type === "thinking")
          part.signature = (part.signature ?? "") + event.signature;
        break;
      }
      case "part-end":
        if (!open.delete(`${event.choice}/${event.index}`)) throw new Error("the end of a part that is not open");
    }
  }
  if (open.size > 0) throw new Error(`never ended: ${[...open].join()}`);
  return response;
}

function choiceOf(response: ChatResponse, index: number): ChatResponse["choices"][number] {
  let choice = response.choices.find((one) => one.index === index);
  if (choice === undefined) {
    choice = { index, parts: [], finishReason: "error" };
    response.choices.push(choice);
  }
  return choice;
}

/** Arguments as values; text where they are no JSON. */
export function argumentsOf(text: string): unknown {
  try {
    return JSON.parse(text === "" ? "{}" : text);
  } catch {
    return text;
  }
}

/** What an answer says, whatever the dialect; for a stream and a whole answer alike. */
export interface AnswerEssence {
  text: string;
  thinking: string;
  calls: { name: string; arguments: unknown }[];
  finish: string;
  usage:
    | Omit<Usage, "estimated" | "cacheWriteTokens" | "cacheWriteLongTokens" | "audioInputTokens" | "audioOutputTokens">
    | undefined;
}

/** Filters and refusals are one class: dialects tell them apart in different ways, if at all. */
const FINISH_CLASS: Partial<Record<FinishReason, string>> = { refusal: "refused", "content-filter": "refused" };

export function answerEssence(response: ChatResponse): AnswerEssence {
  const [choice] = response.choices;
  const parts = choice?.parts ?? [];
  const { usage } = response;
  const refused = parts.some((part) => part.type === "refusal");
  const finish = choice?.finishReason ?? "error";
  return {
    text: parts.map((part) => (part.type === "text" || part.type === "refusal" ? part.text : "")).join(""),
    thinking: parts.map((part) => (part.type === "thinking" ? part.text : "")).join(""),
    calls: parts.flatMap((part) =>
      part.type === "tool-call" ? [{ name: part.name, arguments: argumentsOf(part.arguments) }] : [],
    ),
    finish: refused && finish === "stop" ? "refused" : (FINISH_CLASS[finish] ?? finish),
    usage: usage && {
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      cachedInputTokens: usage.cachedInputTokens,
      reasoningTokens: usage.reasoningTokens,
    },
  };
}

/** What a request says, by what may be lost of it: each member is compared unless a dialect named it as dropped. */
export interface RequestEssence {
  system: string;
  /** Texts of users and assistants, in order. */
  turns: { role: string; text: string }[];
  calls: { name: string; arguments: unknown }[];
  results: { name: string; text: string; isError: boolean }[];
  media: string[];
  thinking: string[];
  tools: Json;
  toolChoice: Json;
  [scalar: string]: unknown;
}

export function requestEssence(request: ChatRequest): RequestEssence {
  const all = request.messages.flatMap((message) => message.parts);
  const calls = all.filter((part) => part.type === "tool-call");
  const nameOf = new Map(calls.map((call) => [call.id, call.name]));
  const results = all.filter((part) => part.type === "tool-result");
  const everything = [...all, ...results.flatMap((result) => result.parts)];
  const isSystem = (message: Message): boolean => message.role === "system" || message.role === "developer";
  const turns: { role: string; text: string }[] = [];
  for (const message of request.messages) {
    if (isSystem(message)) continue;
    const text = textOf(message.parts);
    const role = message.role === "assistant" ? "assistant" : "user";
    const last = turns.at(-1);
    if (text === "") continue;
    if (last?.role === role) last.text += text;
    else turns.push({ role, text });
  }
  const format = request.responseFormat;
  return {
    system: request.messages
      .filter(isSystem)
      .map((message) => textOf(message.parts))
      .join(""),
    turns,
    calls: calls.map((call) => ({ name: call.name, arguments: argumentsOf(call.arguments) })),
    results: results.map((result) => ({
      // Gemini's only tie is the name; ids are compared by the name they lead to.
      name: nameOf.get(result.id) ?? result.name ?? "",
      text: textOf(result.parts),
      isError: result.isError ?? false,
    })),
    media: everything.flatMap((part) => (part.type === "media" ? [JSON.stringify(part.source)] : [])),
    thinking: all.flatMap((part) => (part.type === "thinking" && part.text !== "" ? [part.text] : [])),
    tools: (request.tools ?? []).flatMap((tool) =>
      tool.type === "function"
        ? [[tool.name, tool.description ?? null, tool.parameters ?? { type: "object", properties: {} }]]
        : [],
    ),
    toolChoice: (request.toolChoice ?? null) as Json,
    schema: format?.type === "schema" ? format.schema : undefined,
    json: format?.type === "json",
    model: request.model,
    stream: request.stream,
    maxOutputTokens: request.maxOutputTokens,
    temperature: request.temperature,
    topP: request.topP,
    topK: request.topK,
    stop: request.stop,
    seed: request.seed,
    n: request.n,
    user: request.user,
    presencePenalty: request.presencePenalty,
    frequencyPenalty: request.frequencyPenalty,
  };
}

const textOf = (parts: readonly Part[]): string =>
  parts.map((part) => (part.type === "text" || part.type === "refusal" ? part.text : "")).join("");

/** The essence members that a dropped name excuses. */
const EXCUSES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\.(image|audio|video|file|file_id|url|name)$/, ["media"]],
  [/\.(thinking|signature|redacted)$/, ["thinking"]],
  [/is_error$/, ["results"]],
  [/^tool_choice$|^tools\[\d+\]/, ["toolChoice"]],
  [/^response_format$/, ["json", "schema"]],
  [/^temperature$/, ["temperature"]],
  [/^top_p$/, ["topP"]],
  [/^top_k$/, ["topK"]],
  [/^stop$/, ["stop"]],
  [/^seed$/, ["seed"]],
  [/^n$/, ["n"]],
  [/^user$/, ["user"]],
  [/^presence_penalty$/, ["presencePenalty"]],
  [/^frequency_penalty$/, ["frequencyPenalty"]],
];

/** Without what was named as dropped. */
export function except<T extends object>(essence: T, dropped: readonly string[]): Partial<T> {
  const gone = new Set(EXCUSES.flatMap(([name, members]) => (dropped.some((one) => name.test(one)) ? members : [])));
  return Object.fromEntries(Object.entries(essence).filter(([key]) => !gone.has(key))) as Partial<T>;
}
