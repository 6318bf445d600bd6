import { exampleOfSchema, type Json, type JsonObject } from "@weir/dialects";
import type { Behaviour } from "./behaviour.ts";

/** What a request asks for, whatever its dialect. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  readonly n: number;
  /** All text of the request, for counting. */
  readonly inputText: string;
  readonly lastUserText: string;
  /** The last message is a tool's result. */
  readonly toolResult: string | undefined;
  readonly tools: readonly { readonly name: string; readonly schema: JsonObject }[];
  /** Undefined: as the model likes; "": none. */
  readonly forcedTool: string | undefined;
  readonly schema: JsonObject | undefined;
  readonly cap: number | undefined;
  /** OpenAI's chat tells usage on a stream only if asked. */
  readonly wantsUsage: boolean;
}

/** What the simulator says to it. */
export interface Said {
  readonly words: readonly string[];
  readonly call: { readonly id: string; readonly name: string; readonly arguments: JsonObject } | undefined;
  readonly finish: "stop" | "length" | "tool";
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One whole event of a stream, and how many tokens of output it carries. */
export interface SentEvent {
  readonly text: string | Uint8Array;
  readonly tokens: number;
}

/** One dialect of the simulator. */
export interface SimulatedDialect {
  ask(body: JsonObject, path: string): Asked;
  /** @param usage whether it is told */
  whole(asked: Asked, said: Said, usage: boolean): JsonObject;
  events(asked: Asked, said: Said, usage: boolean): SentEvent[];
  error(status: number, code: string | undefined, text: string): JsonObject;
  readonly errorHeaders?: (status: number, code: string | undefined) => Readonly<Record<string, string>>;
  /** The event that tells of an error in the middle of a stream. */
  errorEvent(text: string): string | Uint8Array;
  /** What it does not take, where it is stricter than to look away. */
  readonly refuses?: (body: JsonObject) => { readonly status: number; readonly body: JsonObject } | undefined;
  /** Default: text/event-stream. */
  readonly streamType?: string;
}

export function say(asked: Asked, behaviour: Behaviour): Said {
  const inputTokens = wordsOf(asked.inputText).length;
  const tool =
    asked.toolResult !== undefined || asked.forcedTool === ""
      ? undefined
      : (asked.tools.find(({ name }) => name === asked.forcedTool) ?? asked.tools[0]);
  if (tool !== undefined && behaviour.text === undefined && behaviour.words === undefined) {
    const example = exampleOfSchema(tool.schema);
    const call = { id: `call_${tool.name}_1`, name: tool.name, arguments: objectOf(example) };
    const outputTokens = Math.max(1, Math.ceil(JSON.stringify(example).length / 4));
    return { words: [], call, finish: "tool", inputTokens, outputTokens };
  }
  const words = wordsOf(textOf(asked, behaviour));
  const cap = Math.min(words.length, asked.cap ?? words.length);
  return {
    words: words.slice(0, cap),
    call: undefined,
    finish: cap < words.length ? "length" : "stop",
    inputTokens,
    outputTokens: cap,
  };
}

function textOf(asked: Asked, { text, words }: Behaviour): string {
  if (text !== undefined) return text;
  if (words !== undefined) return Array.from({ length: words }, (_, index) => `word${index}`).join(" ");
  if (asked.schema !== undefined) return JSON.stringify(exampleOfSchema(asked.schema));
  if (asked.toolResult !== undefined) return `The tool said: ${asked.toolResult}`;
  return `You said: ${asked.lastUserText}`;
}

/** Words with the space before them: joined they are the text again. */
export const wordsOf = (text: string): string[] => text.match(/\s*\S+|\s+$/g) ?? [];

export const objectOf = (value: Json | undefined): JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
export const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);
export const stringOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");
export const numberOf = (value: Json | undefined): number | undefined =>
  typeof value === "number" ? value : undefined;

/** Text of a content that is a string or a list of parts with a `text`. */
export const textIn = (content: Json | undefined): string =>
  typeof content === "string"
    ? content
    : listOf(content)
        .map((part) => stringOf(objectOf(part)["text"]))
        .join(" ");

export const dataEvent = (value: Json, event?: string): string =>
  `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(value)}\n\n`;

/** A text in pieces that are not words, as tool arguments are streamed. */
export const piecesOf = (text: string): string[] => text.match(/.{1,10}/gsu) ?? [];
