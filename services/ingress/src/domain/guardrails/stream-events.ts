/** Where the texts are in the events of a stream, by dialect; what is no delta is looked at as a whole (session.answer). */
import type { DialectName, Json, JsonObject } from "@weir/dialects";

/** A piece of a text in an event. */
export interface Delta {
  /** Of the text that it is a piece of. */
  readonly channel: string;
  readonly path: readonly (string | number)[];
  readonly text: string;
  readonly place: "output" | "tool-arguments";
  readonly form: "text" | "json";
  /** See TextAt: the answer's text and what tools are given, not what the model thought. */
  readonly judged: boolean;
  /** An event like this one with nothing but another piece of the same text: for what is left when the text ends. */
  readonly more: (text: string) => JsonObject;
}

export interface Reading {
  readonly deltas: readonly Delta[];
  /** Texts that end with this event, before it: all whose channel begins so. */
  readonly ends: readonly string[];
}

export type ReadEvent = (event: JsonObject) => Reading;

const NOTHING: Reading = { deltas: [], ends: [] };
/** Ends every channel. */
const ALL = "";

const object = (value: Json | undefined): JsonObject | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
/** An index; "" where there is none. */
const numbered = (value: Json | undefined): string => (typeof value === "number" ? String(value) : "");
const list = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

/** OpenAI's chat chunks: every text member of a delta is a text of its own, whatever it is called (content, refusal, reasoning_content). */
function chatEvent(event: JsonObject): Reading {
  const deltas: Delta[] = [];
  const ends: string[] = [];
  for (const [at, item] of list(event["choices"]).entries()) {
    const choice = object(item);
    if (choice === undefined) continue;
    const index = typeof choice["index"] === "number" ? choice["index"] : at;
    const delta = object(choice["delta"]);
    const more = (inner: JsonObject): JsonObject => {
      const { usage: _usage, ...rest } = event;
      return { ...rest, choices: [{ index, delta: inner, finish_reason: null }] };
    };
    for (const [name, value] of Object.entries(delta ?? {})) {
      const path = ["choices", at, "delta", name];
      const channel = `${index}|${name}|`;
      if (typeof value === "string") {
        if (name !== "role" && value !== "")
          deltas.push({
            channel,
            path,
            text: value,
            place: "output",
            form: "text",
            judged: name === "content",
            more: (text) => more({ [name]: text }),
          });
      } else if (name === "function_call") {
        const text = object(value)?.["arguments"];
        if (typeof text === "string" && text !== "")
          deltas.push({
            channel,
            path: [...path, "arguments"],
            text,
            place: "tool-arguments",
            form: "json",
            judged: true,
            more: (rest) => more({ function_call: { arguments: rest } }),
          });
      } else if (name === "tool_calls") toolDeltas(list(value), path, channel, more, deltas);
      else if (name === "reasoning_details") detailDeltas(list(value), path, channel, more, deltas);
      else nestedDeltas(value, path, channel, (inner) => more({ [name]: inner }), deltas, 0);
    }
    if (choice["finish_reason"] !== null && choice["finish_reason"] !== undefined) ends.push(`${index}|`);
  }
  return { deltas, ends };
}

function toolDeltas(
  calls: readonly Json[],
  path: readonly (string | number)[],
  channel: string,
  more: (inner: JsonObject) => JsonObject,
  deltas: Delta[],
): void {
  for (const [at, item] of calls.entries()) {
    const call = object(item);
    const index = typeof call?.["index"] === "number" ? call["index"] : at;
    for (const [kind, member] of [
      ["function", "arguments"],
      ["custom", "input"],
    ] as const) {
      const text = object(call?.[kind])?.[member];
      if (typeof text !== "string" || text === "") continue;
      deltas.push({
        channel: `${channel}${index}`,
        path: [...path, at, kind, member],
        text,
        place: "tool-arguments",
        form: kind === "function" ? "json" : "text",
        judged: true,
        more: (rest) => more({ tool_calls: [{ index, [kind]: { [member]: rest } }] }),
      });
    }
  }
}

/** Of members that say what something is, and of bytes. */
const NO_TEXT = new Set(["id", "type", "role", "data", "format"]);
const MAX_NESTED = 6;

/** Texts in members that nobody here knows, or that only some provider has (audio.transcript, content as a list): each may be a piece of one. */
function nestedDeltas(
  value: Json,
  path: readonly (string | number)[],
  channel: string,
  more: (inner: Json) => JsonObject,
  deltas: Delta[],
  depth: number,
): void {
  if (depth > MAX_NESTED) return;
  const isList = Array.isArray(value);
  const members = isList ? value.map((item, at) => [at, item] as const) : Object.entries(object(value) ?? {});
  for (const [name, member] of members) {
    if (typeof name === "string" && NO_TEXT.has(name)) continue;
    const inner = [...path, name];
    // Pieces of one text may stand at other places of a list.
    const own = isList ? channel : `${channel}${name}|`;
    const write = isList
      ? (rest: Json) => more([rest])
      : (rest: Json) => more({ ...kindOf(value as JsonObject), [name]: rest });
    if (typeof member === "string") {
      if (member !== "")
        deltas.push({
          channel: own,
          path: inner,
          text: member,
          place: "output",
          form: "text",
          judged: false,
          more: write,
        });
    } else if (typeof member === "object" && member !== null)
      nestedDeltas(member, inner, own, write, deltas, depth + 1);
  }
}

const kindOf = ({ type }: JsonObject): JsonObject => (typeof type === "string" ? { type } : {});

function detailDeltas(
  details: readonly Json[],
  path: readonly (string | number)[],
  channel: string,
  more: (inner: JsonObject) => JsonObject,
  deltas: Delta[],
): void {
  for (const [at, item] of details.entries()) {
    const detail = object(item);
    for (const member of ["text", "summary"]) {
      const text = detail?.[member];
      if (detail === undefined || typeof text !== "string" || text === "") continue;
      const { index = at, type = "" } = detail;
      deltas.push({
        channel: `${channel}${numbered(index)}${member}`,
        path: [...path, at, member],
        text,
        place: "output",
        form: "text",
        judged: false,
        more: (rest) => more({ reasoning_details: [{ type, index, [member]: rest }] }),
      });
    }
  }
}

/** Anthropic's messages: a block's deltas, until it stops. */
function messagesEvent(event: JsonObject): Reading {
  const { type, index = 0 } = event;
  if (type === "content_block_stop") return { deltas: [], ends: [`${numbered(index)}|`] };
  if (type === "message_delta" || type === "message_stop" || type === "error") return { deltas: [], ends: [ALL] };
  if (type === "content_block_start") return { deltas: blockStart(event, index), ends: [] };
  const delta = object(event["delta"]);
  if (type !== "content_block_delta" || delta === undefined) return NOTHING;
  const deltas: Delta[] = [];
  for (const [name, value] of Object.entries(delta)) {
    if (typeof value !== "string" || value === "" || name === "type" || name === "signature") continue;
    const isArguments = name === "partial_json";
    deltas.push({
      channel: `${numbered(index)}|${name}`,
      path: ["delta", name],
      text: value,
      place: isArguments ? "tool-arguments" : "output",
      form: isArguments ? "json" : "text",
      judged: isArguments || name === "text",
      more: (text) => ({ type, index, delta: { type: delta["type"] ?? "text_delta", [name]: text } }),
    });
  }
  return { deltas, ends: [] };
}

/** A block may begin with some of its text, of which the deltas are the rest. */
function blockStart(event: JsonObject, index: Json): Delta[] {
  const block = object(event["content_block"]);
  const deltas: Delta[] = [];
  for (const name of ["text", "thinking"]) {
    const text = block?.[name];
    if (typeof text !== "string" || text === "") continue;
    deltas.push({
      channel: `${numbered(index)}|${name}`,
      path: ["content_block", name],
      text,
      place: "output",
      form: "text",
      judged: name === "text",
      more: (rest) => ({ type: "content_block_delta", index, delta: { type: `${name}_delta`, [name]: rest } }),
    });
  }
  return deltas;
}

/** OpenAI's Responses: `….delta` until `….done` of the same place; the whole text comes again in what follows, and is scanned again there. */
function responsesEvent(event: JsonObject): Reading {
  const type = typeof event["type"] === "string" ? event["type"] : "";
  const texts = `${numbered(event["output_index"])}|${numbered(event["content_index"] ?? event["summary_index"])}|`;
  if (type.endsWith(".delta")) {
    const { delta } = event;
    if (typeof delta !== "string" || delta === "" || type.includes("audio.delta")) return NOTHING;
    const kind = type.slice(0, -".delta".length);
    const isArguments =
      kind.endsWith("_arguments") ||
      kind.endsWith("_input") ||
      kind.endsWith("call.code") ||
      kind.endsWith("call_code");
    const { logprobs: _logprobs, obfuscation: _obfuscation, ...rest } = event;
    return {
      deltas: [
        {
          channel: texts + kind,
          path: ["delta"],
          text: delta,
          place: isArguments ? "tool-arguments" : "output",
          form: kind.endsWith("_arguments") ? "json" : "text",
          judged: isArguments || kind === "response.output_text",
          more: (text) => ({ ...rest, delta: text, ...(event["logprobs"] === undefined ? {} : { logprobs: [] }) }),
        },
      ],
      ends: [],
    };
  }
  if (type === "response.output_item.done") return { deltas: [], ends: [`${numbered(event["output_index"])}|`] };
  if (type.endsWith(".done")) return { deltas: [], ends: [texts] };
  if (/^(?:response\.(?:completed|incomplete|failed|cancelled)|error)$/.test(type)) return { deltas: [], ends: [ALL] };
  return NOTHING;
}

const READERS: Readonly<Record<DialectName, ReadEvent>> = {
  "openai-chat": chatEvent,
  "anthropic-messages": messagesEvent,
  "openai-responses": responsesEvent,
  // No route of the facade speaks it: its answers are translated before they come here.
  "gemini-generate": () => NOTHING,
};

export const readerOf = (dialect: DialectName): ReadEvent => READERS[dialect];
