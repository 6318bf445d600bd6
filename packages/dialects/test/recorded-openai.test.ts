import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ChatEvent,
  type Dialect,
  type JsonObject,
  openAiChat,
  openAiResponses,
  type Part,
  SseParser,
} from "../src/index.ts";

/**
 * Recorded traffic of OpenAI and its compatible servers, read here a second time by means as simple as can be, and compared. The
 * recordings are not part of the project: WEIR_FIXTURES names their folder.
 */
const directory = process.env.WEIR_FIXTURES ?? join(import.meta.dirname, "../../../../shared/fixtures");
const files = existsSync(directory)
  ? readdirSync(directory).filter((name) => /^(openai|groq|openrouter|mistral)-/.test(name))
  : [];
const dialectOf = (name: string): Dialect => (name.startsWith("openai-responses") ? openAiResponses : openAiChat);
const read = (name: string): Buffer => readFileSync(join(directory, name));
const readJson = (name: string): JsonObject => JSON.parse(read(name).toString()) as JsonObject;

/** As much of the recorded bodies as is compared. */
interface Usage {
  prompt_tokens?: number;
  input_tokens?: number;
  completion_tokens?: number;
  output_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number };
  input_tokens_details?: { cached_tokens?: number };
  completion_tokens_details?: { reasoning_tokens?: number };
  output_tokens_details?: { reasoning_tokens?: number };
}
type Content = string | { text?: string }[] | null | undefined;
interface Message {
  content?: Content;
  reasoning_content?: string;
  reasoning?: string;
  tool_calls?: { index?: number; id: string; function?: { name?: string; arguments?: string } }[] | null;
}
interface Item {
  type: string;
  content?: Content;
  summary?: Content;
  call_id?: string;
  name?: string;
  arguments?: string;
}
interface Body {
  type?: string;
  status?: string;
  output?: Item[];
  response?: Body;
  choices?: { message?: Message; delta?: Message; finish_reason?: string | null }[];
  usage?: Usage | null;
  x_groq?: { usage?: Usage };
  error?: { message: string; code: string | number; param?: string };
}
const loose = (value: unknown): Body => value as Body;

interface Answer {
  text: string;
  thinking: string;
  calls: { id: string | undefined; name: string | undefined; arguments: unknown }[];
  finish: string | undefined;
  usage: { input: number; output: number; cached: number; reasoning: number } | undefined;
  error: string | undefined;
}
const json = (text: string): unknown => (text === "" ? "" : JSON.parse(text));
const usageOf = (usage: Usage | null | undefined): Answer["usage"] => {
  if (usage === undefined || usage === null) return undefined;
  return {
    input: usage.prompt_tokens ?? usage.input_tokens ?? 0,
    output: usage.completion_tokens ?? usage.output_tokens ?? 0,
    cached: (usage.prompt_tokens_details ?? usage.input_tokens_details)?.cached_tokens ?? 0,
    reasoning: (usage.completion_tokens_details ?? usage.output_tokens_details)?.reasoning_tokens ?? 0,
  };
};
const textOf = (content: Content): string =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("");

/** A chat completion's message, or a stream's deltas added up. */
const decodeChat = (
  messages: { message: Message | undefined; finish: string | null | undefined }[],
  usage: Usage | null | undefined,
  error: Body["error"],
): Answer => {
  const answer: Answer = {
    text: "",
    thinking: "",
    calls: [],
    finish: undefined,
    usage: usageOf(usage),
    error: error?.message,
  };
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const { message = {}, finish } of messages) {
    answer.text += textOf(message.content);
    answer.thinking += message.reasoning_content ?? message.reasoning ?? "";
    for (const call of message.tool_calls ?? []) {
      const at = call.index ?? calls.length;
      const known = (calls[at] ??= { id: call.id, name: call.function?.name ?? "", arguments: "" });
      known.arguments += call.function?.arguments ?? "";
    }
    answer.finish = finish ?? answer.finish;
  }
  answer.calls = calls.map((call) => ({ ...call, arguments: json(call.arguments) }));
  return answer;
};
const decodeResponse = (response: Body): Answer => {
  const items = response.output ?? [];
  const calls = items.filter((item) => item.type === "function_call");
  return {
    text: items
      .filter((item) => item.type === "message")
      .map((item) => textOf(item.content))
      .join(""),
    thinking: items
      .filter((item) => item.type === "reasoning")
      .map((item) => textOf(item.summary))
      .join(""),
    calls: calls.map((call) => ({ id: call.call_id, name: call.name, arguments: json(call.arguments ?? "") })),
    finish: response.status === "completed" ? (calls.length > 0 ? "tool_calls" : "stop") : "length",
    usage: usageOf(response.usage),
    error: undefined,
  };
};
const decodeBody = (name: string, body: Body): Answer =>
  name.startsWith("openai-responses")
    ? decodeResponse(body)
    : decodeChat(
        [{ message: body.choices?.[0]?.message, finish: body.choices?.[0]?.finish_reason }],
        body.usage,
        undefined,
      );
const decodeStream = (name: string, text: string): Answer => {
  const events = text
    .split("\n\n")
    .map((event) => /^data: (.*)$/m.exec(event)?.[1])
    .filter((data) => data !== undefined && data !== "[DONE]")
    .map((data) => loose(JSON.parse(data ?? "")));
  const last = events.findLast((event) => event.type === "response.completed" || event.type === "response.incomplete");
  if (name.startsWith("openai-responses")) return decodeResponse(last?.response ?? {});
  const usage = events.findLast((event) => event.usage ?? event.x_groq?.usage);
  const choices = events.flatMap((event) => event.choices ?? []);
  return decodeChat(
    choices.map((choice) => ({ message: choice.delta, finish: choice.finish_reason })),
    usage?.usage ?? usage?.x_groq?.usage,
    events.find((event) => event.error)?.error,
  );
};

const FINISH: Record<string, string> = { "tool-calls": "tool_calls", "content-filter": "content_filter" };
const answerOf = (
  parts: readonly Part[],
  finish: string | undefined,
  usage: ReturnType<Dialect["inspectResponse"]>["usage"],
  error?: string,
): Answer => ({
  text: parts.map((part) => (part.type === "text" ? part.text : "")).join(""),
  thinking: parts.map((part) => (part.type === "thinking" ? part.text : "")).join(""),
  calls: parts
    .filter((part) => part.type === "tool-call")
    .map((part) => ({ id: part.id, name: part.name, arguments: json(part.arguments) })),
  finish: finish === undefined ? undefined : (FINISH[finish] ?? finish),
  usage: usage && {
    input: usage.inputTokens,
    output: usage.outputTokens,
    cached: usage.cachedInputTokens,
    reasoning: usage.reasoningTokens,
  },
  error,
});
const answerOfEvents = (events: readonly ChatEvent[], error?: string): Answer => {
  const parts: Part[] = [];
  let finish: string | undefined;
  let usage: ReturnType<Dialect["inspectResponse"]>["usage"];
  for (const event of events) {
    if (event.type === "part-start") parts[event.index] = { ...event.part };
    else if (event.type === "finish") finish = event.reason;
    else if (event.type === "usage") usage = event.usage;
    else if (event.type === "part-delta") {
      const part = parts[event.index];
      if (part?.type === "tool-call") part.arguments += event.text;
      else if (part?.type === "text" || part?.type === "thinking") part.text += event.text;
    }
  }
  return answerOf(parts, finish, usage, error);
};
const cut = (bytes: Uint8Array, places: readonly number[]): Uint8Array[] => {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.slice(at[index], end));
};
const parseStream = (
  dialect: Dialect,
  chunks: readonly Uint8Array[],
): { events: ChatEvent[]; error: WeirError | undefined } => {
  const sse = new SseParser();
  const parser = dialect.streamParser();
  const events: ChatEvent[] = [];
  try {
    for (const chunk of chunks) for (const event of sse.push(chunk)) events.push(...parser.push(event));
    for (const event of sse.end()) events.push(...parser.push(event));
    events.push(...parser.end());
  } catch (error) {
    if (error instanceof WeirError) return { events, error };
    throw error;
  }
  return { events, error: undefined };
};
/** Members that say the same as none, and texts that say the same as a list of one. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) {
    const [only] = value as { type?: string; text?: string }[];
    const text = value.length === 1 && only?.type === "text" && Object.keys(only).length === 2;
    return text ? only.text : value.map(plain);
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([key, member]) =>
          member !== null && !(Array.isArray(member) && member.length === 0) && !(key === "stream" && member === false),
      )
      .filter(([key, member]) => !(key === "type" && member === "message"))
      .map(([key, member]) => [key, plain(member)]),
  );
};

describe.skipIf(files.length === 0)(`recordings in ${directory} (set WEIR_FIXTURES to find them)`, () => {
  const places = fc.array(fc.nat(), { maxLength: 12 });

  it.each(files.filter((name) => name.endsWith(".request.json")))("%s comes back as it was", (name) => {
    const body = readJson(name).body as JsonObject;
    const dialect = dialectOf(name);
    const { body: rendered, dropped } = dialect.renderRequest(dialect.parseRequest(body));
    expect(plain(rendered)).toEqual(plain(body));
    expect(dropped).toEqual([]);
  });

  it.each(files.filter((name) => name.endsWith(".response.json") && name.includes("-200-")))(
    "%s is read and written",
    (name) => {
      const body = readJson(name);
      const dialect = dialectOf(name);
      const request = dialect.parseRequest(readJson(name.replace(".response.", ".request.")).body as JsonObject);
      const expected = decodeBody(name, loose(body));
      const response = dialect.parseResponse(body);
      const [choice] = response.choices;
      expect(answerOf(choice?.parts ?? [], choice?.finishReason, response.usage)).toEqual(expected);
      const rendered = dialect.renderResponse(response, { request, requestId: "r", nowS: 1 }).body;
      expect(decodeBody(name, loose(rendered))).toEqual(expected);
      expect(rendered).toMatchObject(plain(body) as object);
    },
  );

  it.each(files.filter((name) => name.endsWith(".response.json") && !name.includes("-200-")))(
    "%s is understood",
    (name) => {
      const body = readJson(name);
      const status = Number(/-(\d{3})-/.exec(name)?.[1]);
      const { error, code } = dialectOf(name).parseError(status, body, () => undefined);
      const said = loose(body).error;
      expect(error).toMatchObject({
        upstreamStatus: status,
        message: said?.message,
        reason: status === 429 ? "provider_rate_limited" : "provider_rejected",
      });
      expect(code).toBe(String(said?.code));
      expect(error.param).toBe(said?.param);
    },
  );

  it.each(files.filter((name) => name.endsWith(".sse")))(
    "%s is read, passed on and written, wherever it is cut",
    (name) => {
      const bytes = read(name);
      const dialect = dialectOf(name);
      const request = dialect.parseRequest(readJson(name.replace(".response.sse", ".request.json")).body as JsonObject);
      const expected = decodeStream(name, bytes.toString());
      fc.assert(
        fc.property(places, (at) => {
          const chunks = cut(bytes, at);
          const { events, error } = parseStream(dialect, chunks);
          expect(answerOfEvents(events, error?.message)).toEqual(expected);

          const watcher = dialect.streamWatcher({ hideUsage: false });
          const shown = chunks.map((chunk) => watcher.push(chunk)).filter((out) => out !== undefined);
          const end = watcher.end();
          expect(Buffer.concat([...shown, end.terminal]).equals(bytes)).toBe(true);
          expect(watcher.started && watcher.done).toBe(true);
          const watched = answerOf([], end.finishReason, end.usage, end.error?.message);
          expect(watched).toMatchObject({ finish: expected.finish, usage: expected.usage, error: expected.error });
          const calls = events.map((event) =>
            event.type === "part-start" && event.part.type === "tool-call" ? event.part.name.length : 0,
          );
          const said = events.map((event) => (event.type === "part-delta" ? event.text.length : 0));
          const names = dialect === openAiChat ? calls : [];
          expect(end.outputCharacters).toBe([...said, ...names].reduce((sum, length) => sum + length, 0));
        }),
        { numRuns: 25 },
      );
      const { events, error } = parseStream(dialect, [bytes]);
      if (error !== undefined) return;
      const renderer = dialect.streamRenderer({ request: { ...request, streamUsage: true }, requestId: "r", nowS: 1 });
      const text = events.map((event) => renderer.push(event)).join("");
      const { preface, terminal } = renderer.end();
      expect(decodeStream(name, text + preface + terminal)).toEqual(expected);
      expect(renderer.dropped).toEqual([]);
    },
  );

  it("are interrupted wherever they stop before their end", () => {
    for (const name of files.filter((one) => one.endsWith(".sse"))) {
      const bytes = read(name);
      const dialect = dialectOf(name);
      const whole = bytes.toString().trimEnd();
      const end = Buffer.byteLength(whole.slice(0, whole.lastIndexOf("\n\n") + 2));
      for (let at = 0; at <= end; at += Math.ceil(end / 23)) {
        expect(parseStream(dialect, [bytes.subarray(0, at)]).error?.reason).toBe("stream_interrupted");
        const watcher = dialect.streamWatcher({ hideUsage: false });
        watcher.push(bytes.subarray(0, at));
        expect(watcher.end()).toMatchObject({ error: { reason: "stream_interrupted" }, terminal: new Uint8Array(0) });
      }
    }
  });
});
