import { WeirError } from "@weir/kernel";
import type { ChatEvent, JsonObject, Part } from "./core.ts";
import type { StreamParser } from "./dialect.ts";
import { parseLogprob } from "./openai-chat-response.ts";
import { parseOpenAiStreamError } from "./openai-errors.ts";
import { callExtra, NAME, parseReasoning, SUMMARY_GAP } from "./openai-responses-items.ts";
import { echoOf, finishOf, parseItem, throwIfFailed } from "./openai-responses-response.ts";
import { usageOfResponse } from "./openai-usage.ts";
import { isObject, output } from "./shape.ts";
import type { SseEvent } from "./sse.ts";

interface OpenPart {
  readonly index: number;
  /** Characters so far: a `done` event speaks only where no delta did. */
  length: number;
}

const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Reads the events of a streamed response. */
export class ResponsesStreamParser implements StreamParser {
  /** By output index, and content index for the parts of a message. */
  readonly #open = new Map<string, OpenPart>();
  readonly #seen = new Set<string>();
  #next = 0;
  #calls = false;
  #started = false;
  #done = false;

  get done(): boolean {
    return this.#done;
  }

  push(event: SseEvent): ChatEvent[] {
    if (this.#done) return [];
    const text = event.data.trim();
    // Some compatible servers end with chat's [DONE] as well; it ends nothing here.
    if (text === "" || text === "[DONE]") return [];
    const body = parseEvent(text);
    const events: ChatEvent[] = [];
    this.#event(textOf(body.type) || event.event, body, events);
    return events;
  }

  end(): ChatEvent[] {
    if (!this.#done) throw new WeirError("stream_interrupted", "the provider's stream ended too early");
    return [];
  }

  #event(type: string, body: JsonObject, events: ChatEvent[]): void {
    const item = `${numberOf(body.output_index)}`;
    const content = `${item}/${numberOf(body.content_index)}`;
    switch (type) {
      case "response.created":
      case "response.in_progress":
      case "response.queued":
        return this.#start(output.object(body.response, "response"), events);
      case "response.output_item.added":
        return this.#itemAdded(item, output.object(body.item, "item"), events);
      case "response.content_part.added": {
        const part = isObject(body.part) ? body.part : {};
        if (part.type === "output_text" || part.type === "refusal")
          this.#openPart(content, { type: part.type === "refusal" ? "refusal" : "text", text: "" }, events);
        return;
      }
      case "response.output_text.delta":
        return this.#say(content, { type: "text", text: "" }, textOf(body.delta), body, events);
      case "response.refusal.delta":
        return this.#say(content, { type: "refusal", text: "" }, textOf(body.delta), undefined, events);
      case "response.output_text.done":
        return this.#sayOnce(content, { type: "text", text: "" }, textOf(body.text), events);
      case "response.refusal.done":
        return this.#sayOnce(content, { type: "refusal", text: "" }, textOf(body.refusal), events);
      case "response.content_part.done":
        return this.#close(content, events);
      case "response.reasoning_summary_part.added": {
        const open = this.#open.get(item);
        if (open !== undefined && open.length > 0) this.#say(item, thinking(), SUMMARY_GAP, undefined, events);
        return;
      }
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return this.#say(item, thinking(), textOf(body.delta), undefined, events);
      case "response.function_call_arguments.delta":
        return this.#say(item, undefined, textOf(body.delta), undefined, events);
      case "response.function_call_arguments.done":
        return this.#sayOnce(item, undefined, textOf(body.arguments), events);
      case "response.output_item.done":
        return this.#itemDone(item, output.object(body.item, "item"), events);
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
        return this.#finish(type, output.object(body.response, "response"), events);
      case "error":
        throw parseOpenAiStreamError(isObject(body.error) ? body.error : body).error;
      default:
        if (isObject(body.error)) throw parseOpenAiStreamError(body.error).error;
    }
  }

  #start(response: JsonObject, events: ChatEvent[]): void {
    if (this.#started) return;
    this.#started = true;
    events.push({
      type: "start",
      id: textOf(response.id),
      model: textOf(response.model),
      createdS: Math.floor(numberOf(response.created_at)),
      extra: echoOf(response),
    });
  }

  #itemAdded(key: string, item: JsonObject, events: ChatEvent[]): void {
    if (item.type === "function_call") {
      const id = output.string(item.call_id, "item.call_id");
      this.#openCall(
        key,
        { type: "tool-call", id, name: output.string(item.name, "item.name"), arguments: "", extra: callExtra(item) },
        events,
      );
      if (textOf(item.arguments) !== "") this.#say(key, undefined, textOf(item.arguments), undefined, events);
    } else if (item.type === "reasoning") this.#openPart(key, thinking(item), events);
  }

  #itemDone(key: string, item: JsonObject, events: ChatEvent[]): void {
    if (item.type === "function_call") {
      if (!this.#seen.has(key)) this.#itemAdded(key, item, events);
      this.#sayOnce(key, undefined, textOf(item.arguments), events);
      return this.#close(key, events);
    }
    if (item.type === "reasoning") {
      const whole = parseReasoning(item);
      this.#sayOnce(key, thinking(item), whole.text, events);
      const open = this.#open.get(key);
      if (open !== undefined && whole.signature !== undefined)
        events.push({ type: "part-delta", choice: 0, index: open.index, text: "", signature: whole.signature });
      return this.#close(key, events);
    }
    if (item.type === "message") {
      for (const [at, part] of parseItem(item, "item").entries()) {
        const content = `${key}/${at}`;
        if (part.type === "text" || part.type === "refusal") {
          this.#sayOnce(content, { type: part.type, text: "" }, part.text, events);
          this.#close(content, events);
        }
      }
      return;
    }
    if (item.type === "custom_tool_call") this.#calls = true;
    const index = this.#next++;
    const part: Part = { type: "unknown", dialect: NAME, value: item };
    events.push({ type: "part-start", choice: 0, index, part }, { type: "part-end", choice: 0, index });
  }

  #finish(type: string, response: JsonObject, events: ChatEvent[]): void {
    this.#done = true;
    this.#start(response, events);
    if (type === "response.failed") {
      throwIfFailed(response);
      throw new WeirError("provider_error", "the provider's response failed");
    }
    for (const key of this.#open.keys()) this.#close(key, events);
    const status = type === "response.incomplete" ? { ...response, status: "incomplete" } : response;
    events.push({ type: "finish", choice: 0, reason: finishOf(status, this.#calls) });
    const usage = usageOfResponse(response);
    if (usage !== undefined) events.push({ type: "usage", usage });
  }

  #openCall(key: string, part: Part, events: ChatEvent[]): void {
    this.#calls = true;
    this.#openPart(key, part, events);
  }

  #openPart(key: string, part: Part, events: ChatEvent[]): OpenPart {
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const open = { index: this.#next++, length: 0 };
    this.#open.set(key, open);
    this.#seen.add(key);
    events.push({ type: "part-start", choice: 0, index: open.index, part });
    return open;
  }

  /** @param part what to open where nothing is open; without it the call must be known */
  #say(key: string, part: Part | undefined, text: string, said: JsonObject | undefined, events: ChatEvent[]): void {
    if (text === "" && said?.logprobs === undefined) return;
    let open = this.#open.get(key);
    if (open === undefined) {
      if (part === undefined) throw output.fail("output_index", "a function call that was added before");
      open = this.#openPart(key, part, events);
    }
    open.length += text.length;
    const delta: ChatEvent = { type: "part-delta", choice: 0, index: open.index, text };
    const logprobs = Array.isArray(said?.logprobs) ? said.logprobs.filter(isObject).map(parseLogprob) : [];
    events.push(logprobs.length === 0 ? delta : { ...delta, logprobs });
  }

  #sayOnce(key: string, part: Part | undefined, text: string, events: ChatEvent[]): void {
    const open = this.#open.get(key);
    if (open === undefined ? this.#seen.has(key) : open.length > 0) return;
    if (open === undefined && part !== undefined) this.#openPart(key, part, events);
    this.#say(key, part, text, undefined, events);
  }

  #close(key: string, events: ChatEvent[]): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    events.push({ type: "part-end", choice: 0, index: open.index });
  }
}

/** The thinking part of a reasoning item, before anything was said. */
function thinking(item: JsonObject = {}): Part {
  const { id } = item;
  return {
    type: "thinking",
    text: "",
    extra: { dialect: NAME, fields: {}, spelling: { item: id === undefined ? {} : { id } } },
  };
}

function parseEvent(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WeirError("provider_bad_response", "an event of the provider's stream is not JSON", { cause });
  }
  if (isObject(value)) return value;
  throw output.fail("data", "an object");
}
