import { WeirError } from "@weir/kernel";
import { keepFields, NAME, parseBlock } from "./anthropic-messages-blocks.ts";
import { parseMessagesStreamError } from "./anthropic-messages-errors.ts";
import { parseStop } from "./anthropic-messages-response.ts";
import { mergeUsage, parseMessagesUsage, USAGE_KNOWN } from "./anthropic-messages-usage.ts";
import type { ChatEvent, Json, JsonObject, Part } from "./core.ts";
import type { StreamParser } from "./dialect.ts";
import { extraOf, isObject, names, output } from "./shape.ts";
import type { SseEvent } from "./sse.ts";
import { argumentsObject, argumentsText } from "./tool-arguments.ts";

const MESSAGE_KNOWN = names("id type role model content stop_reason stop_sequence usage");
const DELTA_KNOWN = names("stop_reason stop_sequence");

interface OpenBlock {
  readonly type: string;
  readonly block: JsonObject;
  /** Of a call: whether its input came in pieces; of a block that is kept verbatim: the pieces. */
  json: string;
}

/** The data of an event. @throws WeirError provider_bad_response */
function parseEventData(data: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new WeirError("provider_bad_response", "an event of the provider's stream is not JSON", { cause });
  }
  if (isObject(value)) return value;
  throw output.fail("data", "an object");
}

/**
 * Reads a streamed message (https://platform.claude.com/docs/en/build-with-claude/streaming). Blocks that only Anthropic knows are
 * given out whole when they end, the pieces of their input put together. Events of unknown types say nothing, as the format promises.
 */
export class MessagesStreamParser implements StreamParser {
  readonly #open = new Map<number, OpenBlock>();
  #usage: JsonObject = {};
  #calls = false;
  #finished = false;
  #done = false;

  get done(): boolean {
    return this.#done;
  }

  push(event: SseEvent): ChatEvent[] {
    if (this.#done || event.data.trim() === "") return [];
    const body = parseEventData(event.data);
    const events: ChatEvent[] = [];
    const type = typeof body.type === "string" ? body.type : event.event;
    switch (type) {
      case "message_start":
        this.#start(output.object(body.message, "message"), events);
        break;
      case "content_block_start":
        this.#blockStart(indexOf(body), output.object(body.content_block, "content_block"), events);
        break;
      case "content_block_delta":
        this.#blockDelta(indexOf(body), output.object(body.delta, "delta"), events);
        break;
      case "content_block_stop":
        this.#blockStop(indexOf(body), events);
        break;
      case "message_delta":
        this.#messageDelta(body, events);
        break;
      case "message_stop":
        if (!this.#finished) this.#finish(undefined, undefined, undefined, events);
        this.#done = true;
        break;
      case "error":
        throw parseMessagesStreamError(body).error;
      default:
        break;
    }
    return events;
  }

  end(): ChatEvent[] {
    if (!this.#done) throw new WeirError("stream_interrupted", "the provider's stream ended too early");
    return [];
  }

  #start(message: JsonObject, events: ChatEvent[]): void {
    events.push({
      type: "start",
      id: typeof message.id === "string" ? message.id : "",
      model: typeof message.model === "string" ? message.model : "",
      createdS: 0,
      extra: keepFields(message, MESSAGE_KNOWN),
    });
    this.#addUsage(message.usage, events);
  }

  #addUsage(more: Json | undefined, events: ChatEvent[]): void {
    if (!isObject(more)) return;
    this.#usage = mergeUsage(this.#usage, more);
    const usage = parseMessagesUsage(this.#usage);
    if (usage !== undefined) events.push({ type: "usage", usage });
  }

  #blockStart(index: number, block: JsonObject, events: ChatEvent[]): void {
    const part = parseBlock(output, block, `content[${index}]`);
    const type = part.type === "unknown" ? "unknown" : output.string(block.type, "content_block.type");
    this.#open.set(index, { type, block, json: "" });
    if (type === "unknown") return;
    if (part.type === "tool-call") this.#calls = true;
    const start = emptied(part);
    events.push({ type: "part-start", choice: 0, index, part: start });
    if ((part.type === "text" || part.type === "thinking") && part.text !== "")
      events.push({ type: "part-delta", choice: 0, index, text: part.text });
    if (part.type === "thinking" && part.signature !== undefined && part.signature !== "")
      events.push({ type: "part-delta", choice: 0, index, text: "", signature: part.signature });
  }

  #blockDelta(index: number, delta: JsonObject, events: ChatEvent[]): void {
    const open = this.#open.get(index);
    if (open === undefined) throw output.fail(`content[${index}]`, "a block's start before its deltas");
    const path = `content[${index}].delta`;
    const add = (text: string): void => {
      if (text !== "") events.push({ type: "part-delta", choice: 0, index, text });
    };
    switch (output.optionalString(delta.type, `${path}.type`) ?? "") {
      case "text_delta":
        add(output.string(delta.text, `${path}.text`));
        break;
      case "thinking_delta":
        add(output.string(delta.thinking, `${path}.thinking`));
        break;
      case "signature_delta":
        events.push({
          type: "part-delta",
          choice: 0,
          index,
          text: "",
          signature: output.string(delta.signature, `${path}.signature`),
        });
        break;
      case "input_json_delta": {
        const json = output.string(delta.partial_json, `${path}.partial_json`);
        open.json += open.type === "unknown" ? json : json.slice(0, 1);
        if (open.type === "tool_use") add(json);
        break;
      }
      case "citations_delta":
        if (delta.citation !== undefined)
          events.push({
            type: "part-delta",
            choice: 0,
            index,
            text: "",
            extra: extraOf(NAME, { citations: [delta.citation] }),
          });
        break;
      default:
        // Deltas of blocks that are kept verbatim add to their text members.
        if (open.type === "unknown")
          for (const [key, value] of Object.entries(delta))
            if (key !== "type" && key !== "__proto__" && typeof value === "string")
              open.block[key] = (typeof open.block[key] === "string" ? open.block[key] : "") + value;
    }
  }

  #blockStop(index: number, events: ChatEvent[]): void {
    const open = this.#open.get(index);
    if (open === undefined) return;
    this.#open.delete(index);
    if (open.type === "unknown") {
      const value = open.json === "" ? open.block : { ...open.block, input: argumentsObject(open.json) };
      events.push({ type: "part-start", choice: 0, index, part: { type: "unknown", dialect: NAME, value } });
    }
    // Input that came whole with the start, or {} for a call that takes nothing.
    if (open.type === "tool_use" && open.json === "")
      events.push({ type: "part-delta", choice: 0, index, text: argumentsText(open.block.input) });
    events.push({ type: "part-end", choice: 0, index });
  }

  #messageDelta(body: JsonObject, events: ChatEvent[]): void {
    this.#addUsage(body.usage, events);
    const delta = output.optionalObject(body.delta, "delta") ?? {};
    if (this.#finished || typeof delta.stop_reason !== "string") return;
    const others = keepFields(delta, DELTA_KNOWN)?.fields;
    const moreUsage = keepFields(this.#usage, USAGE_KNOWN)?.fields;
    const fields = moreUsage === undefined ? others : { ...others, usage: moreUsage };
    const sequence = output.optionalString(delta.stop_sequence, "delta.stop_sequence");
    this.#finish(delta.stop_reason, sequence, fields, events);
  }

  #finish(
    stop: string | undefined,
    stopSequence: string | undefined,
    fields: JsonObject | undefined,
    events: ChatEvent[],
  ): void {
    for (const index of Array.from(this.#open.keys())) this.#blockStop(index, events);
    this.#finished = true;
    const { reason, spelling } = parseStop(stop, this.#calls);
    events.push({ type: "finish", choice: 0, reason, stopSequence, extra: extraOf(NAME, fields, spelling) });
  }
}

const indexOf = (body: JsonObject): number => output.optionalInteger(body.index, "index", 0) ?? 0;

/** The part as it starts: what it has to say follows as a delta. */
function emptied(part: Part): Part {
  if (part.type === "text") return { ...part, text: "" };
  if (part.type === "thinking" && part.redacted === undefined) return { ...part, text: "", signature: undefined };
  return part.type === "tool-call" ? { ...part, arguments: "" } : part;
}
