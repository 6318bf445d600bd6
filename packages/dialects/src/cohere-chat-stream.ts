import { WeirError } from "@weir/kernel";
import { NAME } from "./cohere-chat-render.ts";
import { parseCall, parseCohereUsage, parseFinish, parsePart } from "./cohere-chat-response.ts";
import type { ChatEvent, JsonObject, Part } from "./core.ts";
import type { Answerer, StreamParser } from "./dialect.ts";
import { extraOf, isObject, output } from "./shape.ts";
import type { SseEvent } from "./sse.ts";

/**
 * Reads the events of Cohere's second chat (https://docs.cohere.com/docs/streaming). Contents, calls and the plan before them are numbered
 * apart; the last event is `message-end`.
 */
export class CohereStreamParser implements StreamParser {
  readonly #answerer: Answerer | undefined;
  /** Our numbers by theirs: "content/0", "call/0", "plan". */
  readonly #open = new Map<string, number>();
  #next = 0;
  /** Citations belong to the text that was said last. */
  #text: number | undefined;
  #started = false;
  #calls = false;
  #done = false;

  constructor(answerer?: Answerer) {
    this.#answerer = answerer;
  }

  get done(): boolean {
    return this.#done;
  }

  push({ event, data }: SseEvent): ChatEvent[] {
    if (this.#done || data.trim() === "" || data.trim() === "[DONE]") return [];
    const body = bodyOf(data);
    const events: ChatEvent[] = [];
    const type = typeof body.type === "string" ? body.type : event;
    this.#read(type, body, isObject(body.delta) ? body.delta : {}, events);
    return events;
  }

  end(): ChatEvent[] {
    if (!this.#done) throw new WeirError("stream_interrupted", "the provider's stream ended too early");
    return [];
  }

  #read(type: string, body: JsonObject, delta: JsonObject, events: ChatEvent[]): void {
    const message = isObject(delta.message) ? delta.message : {};
    const index = typeof body.index === "number" ? body.index : 0;
    switch (type) {
      case "message-start":
        this.#start(body, events);
        return;
      case "content-start":
        this.#content(index, message.content, events);
        return;
      case "content-delta":
        this.#content(index, message.content, events);
        return;
      case "content-end":
        this.#end(`content/${index}`, events);
        return;
      case "tool-plan-delta":
        this.#add("plan", { type: "thinking", text: "" }, message.tool_plan, events);
        return;
      case "tool-call-start": {
        this.#end("plan", events);
        const call = parseCall(message.tool_calls ?? null, "delta.message.tool_calls");
        this.#calls = true;
        this.#add(`call/${index}`, { ...call, arguments: "" }, call.arguments, events);
        return;
      }
      case "tool-call-delta": {
        const called = isObject(message.tool_calls) ? message.tool_calls.function : undefined;
        const text = isObject(called) ? called.arguments : undefined;
        const at = this.#open.get(`call/${index}`);
        if (at === undefined) throw output.fail("delta", "a tool-call-start before its arguments");
        if (typeof text === "string" && text !== "") events.push({ type: "part-delta", choice: 0, index: at, text });
        return;
      }
      case "tool-call-end":
        this.#end(`call/${index}`, events);
        return;
      case "citation-start": {
        const { citations } = message;
        const at = this.#text;
        if (at === undefined || citations === undefined || !this.#isOpen(at)) return;
        const extra = extraOf(NAME, { citations: Array.isArray(citations) ? citations : [citations] });
        events.push({ type: "part-delta", choice: 0, index: at, text: "", extra });
        return;
      }
      case "message-end":
        this.#finish(delta, events);
        return;
      default:
      // What is new is not needed.
    }
  }

  #start(body: JsonObject, events: ChatEvent[]): void {
    if (this.#started) return;
    this.#started = true;
    const id = typeof body.id === "string" ? body.id : "";
    events.push({ type: "start", id, model: this.#answerer?.model ?? "", createdS: 0 });
  }

  #content(index: number, content: JsonObject[string] | undefined, events: ChatEvent[]): void {
    if (!isObject(content)) return;
    const thinks = content.type === "thinking" || typeof content.thinking === "string";
    const whole = parsePart(
      { ...content, type: content.type ?? (thinks ? "thinking" : "text") },
      "delta.message.content",
    );
    if (whole.type === "text" || whole.type === "thinking")
      this.#add(`content/${index}`, { ...whole, text: "" }, whole.text, events);
  }

  #add(key: string, empty: Part, text: JsonObject[string] | undefined, events: ChatEvent[]): void {
    let at = this.#open.get(key);
    if (at === undefined) {
      at = this.#next++;
      this.#open.set(key, at);
      if (empty.type === "text") this.#text = at;
      events.push({ type: "part-start", choice: 0, index: at, part: empty });
    }
    if (typeof text === "string" && text !== "") events.push({ type: "part-delta", choice: 0, index: at, text });
  }

  #isOpen(index: number): boolean {
    return [...this.#open.values()].includes(index);
  }

  #end(key: string, events: ChatEvent[]): void {
    const at = this.#open.get(key);
    if (at === undefined) return;
    this.#open.delete(key);
    events.push({ type: "part-end", choice: 0, index: at });
  }

  #finish(delta: JsonObject, events: ChatEvent[]): void {
    for (const key of Array.from(this.#open.keys())) this.#end(key, events);
    const reason = parseFinish(delta.finish_reason, this.#calls);
    // Its words for what went wrong; before it there was content, or nothing at all.
    if (typeof delta.error === "string" && delta.error !== "") throw new WeirError("provider_error", delta.error);
    events.push({ type: "finish", choice: 0, reason });
    const usage = parseCohereUsage(delta.usage);
    if (usage !== undefined) events.push({ type: "usage", usage });
    this.#done = true;
  }
}

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
