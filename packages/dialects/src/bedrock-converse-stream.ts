import { WeirError } from "@weir/kernel";
import { EXCEPTION } from "./aws-event-stream.ts";
import { NAME, parseBlock } from "./bedrock-converse-blocks.ts";
import { parseConverseException } from "./bedrock-converse-errors.ts";
import { parseConverseUsage, parseStop } from "./bedrock-converse-response.ts";
import type { ChatEvent, Extra, JsonObject, Part } from "./core.ts";
import type { Answerer, StreamParser } from "./dialect.ts";
import { extraOf, isObject, names, output, unknownFields } from "./shape.ts";
import type { SseEvent } from "./sse.ts";
import { argumentsText } from "./tool-arguments.ts";

interface OpenBlock {
  readonly type: Part["type"];
  /** Arguments came by. */
  written: boolean;
}

const SEALED: Extra = { dialect: "anthropic-messages", fields: {} };

/**
 * Reads the events of ConverseStream (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html).
 * Blocks of text and thinking have no start; the last event is `metadata`, after `messageStop`.
 */
export class ConverseStreamParser implements StreamParser {
  readonly #answerer: Answerer | undefined;
  readonly #open = new Map<number, OpenBlock>();
  #calls = false;
  #stopped = false;
  #done = false;

  constructor(answerer?: Answerer) {
    this.#answerer = answerer;
  }

  get done(): boolean {
    return this.#done;
  }

  push({ event, data }: SseEvent): ChatEvent[] {
    if (this.#done) return [];
    if (event.startsWith(EXCEPTION)) throw parseConverseException(event.slice(EXCEPTION.length), data).error;
    const events: ChatEvent[] = [];
    this.#read(event, bodyOf(data), events);
    return events;
  }

  end(): ChatEvent[] {
    // Some guardrails end a stream without its metadata.
    if (!this.#stopped) throw new WeirError("stream_interrupted", "the provider's stream ended too early");
    return [];
  }

  #read(event: string, body: JsonObject, events: ChatEvent[]): void {
    switch (event) {
      case "messageStart":
        events.push({ type: "start", id: "", model: this.#answerer?.model ?? "", createdS: 0 });
        return;
      case "contentBlockStart":
        this.#blockStart(indexOf(body), output.object(body.start, "start"), events);
        return;
      case "contentBlockDelta":
        this.#delta(indexOf(body), output.object(body.delta, "delta"), events);
        return;
      case "contentBlockStop":
        this.#blockStop(indexOf(body), events);
        return;
      case "messageStop": {
        for (const index of Array.from(this.#open.keys())) this.#blockStop(index, events);
        const fields = unknownFields(body, STOP_KNOWN);
        const reason = parseStop(body.stopReason, this.#calls);
        events.push({ type: "finish", choice: 0, reason, extra: extraOf(NAME, fields) });
        this.#stopped = true;
        return;
      }
      case "metadata": {
        const usage = parseConverseUsage(body.usage, body.serviceTier);
        if (usage !== undefined) events.push({ type: "usage", usage });
        this.#done = this.#stopped;
        return;
      }
      default:
      // What is new is not needed.
    }
  }

  #blockStart(index: number, start: JsonObject, events: ChatEvent[]): void {
    const block: JsonObject = isObject(start.toolUse) ? { toolUse: { ...start.toolUse, input: {} } } : start;
    const part = parseBlock(output, block, "start");
    if (part.type === "tool-call") {
      this.#calls = true;
      part.arguments = "";
    }
    this.#start(index, part, events);
  }

  #start(index: number, part: Part, events: ChatEvent[]): OpenBlock {
    const open: OpenBlock = { type: part.type, written: false };
    this.#open.set(index, open);
    events.push({ type: "part-start", choice: 0, index, part });
    return open;
  }

  #delta(index: number, delta: JsonObject, events: ChatEvent[]): void {
    if (typeof delta.text === "string") return this.#say(index, { type: "text", text: "" }, delta.text, events);
    if (isObject(delta.toolUse)) {
      const open = this.#open.get(index);
      if (open?.type === "unknown") return;
      if (open?.type !== "tool-call") throw output.fail("delta.toolUse", "a contentBlockStart with its name before it");
      const { input } = delta.toolUse;
      const text = typeof input === "string" ? input : argumentsText(input);
      if (text === "") return;
      open.written = true;
      events.push({ type: "part-delta", choice: 0, index, text });
      return;
    }
    if (isObject(delta.reasoningContent)) return this.#think(index, delta.reasoningContent, events);
    if (isObject(delta.citation)) {
      if (!this.#open.has(index)) this.#start(index, { type: "text", text: "" }, events);
      const extra = extraOf(NAME, { citations: [delta.citation] });
      events.push({ type: "part-delta", choice: 0, index, text: "", extra });
      return;
    }
    // An image in pieces, and what may come: whole, as it is.
    if (!this.#open.has(index)) this.#start(index, parseBlock(output, delta, "delta"), events);
  }

  #say(index: number, empty: Part, text: string, events: ChatEvent[]): void {
    if (!this.#open.has(index)) this.#start(index, empty, events);
    if (text !== "") events.push({ type: "part-delta", choice: 0, index, text });
  }

  #think(index: number, reasoning: JsonObject, events: ChatEvent[]): void {
    if (typeof reasoning.redactedContent === "string") {
      const part = parseBlock(output, { reasoningContent: reasoning }, "delta");
      if (!this.#open.has(index)) this.#start(index, part, events);
      return;
    }
    const text = output.optionalString(reasoning.text, "delta.reasoningContent.text") ?? "";
    const signature = output.optionalString(reasoning.signature, "delta.reasoningContent.signature");
    // Whether it will be sealed is not known yet: that it would be Claude's seal is.
    if (!this.#open.has(index)) this.#start(index, { type: "thinking", text: "", extra: SEALED }, events);
    if (text !== "" || signature !== undefined)
      events.push({ type: "part-delta", choice: 0, index, text, ...(signature === undefined ? {} : { signature }) });
  }

  #blockStop(index: number, events: ChatEvent[]): void {
    const open = this.#open.get(index);
    if (open === undefined) return;
    this.#open.delete(index);
    if (open.type === "tool-call" && !open.written) events.push({ type: "part-delta", choice: 0, index, text: "{}" });
    events.push({ type: "part-end", choice: 0, index });
  }
}

/** `p` is padding, against guessing words by the length of events. */
const STOP_KNOWN = names("stopReason p");

const indexOf = (body: JsonObject): number =>
  output.optionalInteger(body.contentBlockIndex, "contentBlockIndex", 0) ?? 0;

function bodyOf(data: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new WeirError("provider_bad_response", "an event of the provider's stream is not JSON", { cause });
  }
  if (isObject(value)) return value;
  throw output.fail("data", "an object");
}
