import type { FinishReason, Json, Usage } from "./core.ts";
import type { ProviderFailure, WatchOptions } from "./dialect.ts";
import { parseOpenAiStreamError } from "./openai-errors.ts";
import { finishOf } from "./openai-responses-response.ts";
import { usageOfResponse } from "./openai-usage.ts";
import { isObject, names } from "./shape.ts";
import { countResponseEvent, noCalls } from "./tool-calls.ts";
import { readEvent } from "./sse.ts";
import { type EventInspector, literalsAfter, type Verdict } from "./watcher.ts";
import { isPartOfAnswer } from "./well-formed.ts";
import { Written } from "./written.ts";

/** Events that say nothing yet: an attempt that only got so far may still be made elsewhere. */
const OPENING = names(
  "response.created response.in_progress response.queued response.output_item.added response.content_part.added",
  "response.reasoning_summary_part.added keepalive",
);
const TERMINAL = names("response.completed response.incomplete response.failed error");

/** The type of an event: its name, or where a server leaves names out, the `type` that its data starts with. */
function typeOf(text: string): string | undefined {
  if (text.startsWith("event: ")) {
    const end = text.indexOf("\n");
    return text.slice(7, text.charCodeAt(end - 1) === 13 ? end - 1 : end);
  }
  const start = 'data: {"type":"';
  return text.startsWith(start) ? text.slice(start.length, text.indexOf('"', start.length)) : undefined;
}

/** Sees usage, finish reason, errors and the size of what was written in events of a response that go by as bytes. */
export class ResponsesInspector implements EventInspector {
  started = false;
  failure: ProviderFailure | undefined;
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters = 0;
  /** Of a stream that is cut before it tells. */
  readonly toolCalls = noCalls();
  readonly written: Written | undefined;
  #calls = false;

  constructor({ keepText }: Pick<WatchOptions, "keepText"> = {}) {
    this.written = keepText === true ? new Written() : undefined;
  }

  inspect(text: string): Verdict {
    const type = typeOf(text);
    if (type?.endsWith(".delta") === true) {
      this.started = true;
      this.outputCharacters += literalsAfter(text, '"delta"', this.written);
      return "pass";
    }
    if (type !== undefined && !TERMINAL.has(type)) {
      this.#note(type, text);
      return "pass";
    }
    return this.#parse(text);
  }

  #note(type: string, text: string): void {
    if (OPENING.has(type)) {
      if (text.includes('"type":"function_call"') || text.includes('"type":"custom_tool_call"')) this.#calls = true;
    } else {
      this.started = true;
      if (type.endsWith("_call.in_progress")) countResponseEvent(type, this.toolCalls);
    }
  }

  #parse(text: string): Verdict {
    const event = readEvent(text);
    if (event === undefined) return "pass";
    let body: unknown;
    try {
      body = JSON.parse(event.data);
    } catch {
      if (event.event === "error") return this.#fail(event.data);
      return isPartOfAnswer(event.event) ? "malformed" : "pass";
    }
    if (!isObject(body)) return "pass";
    const type = typeof body.type === "string" ? body.type : event.event;
    if (type === "error") return this.#fail(isObject(body.error) ? body.error : body);
    if (!TERMINAL.has(type)) {
      if (isObject(body.error)) return this.#fail(body.error);
      if (type.endsWith(".delta") && typeof body.delta === "string") {
        this.outputCharacters += body.delta.length;
        this.written?.text(body.delta);
      }
      this.#note(type, text);
      return "pass";
    }
    const response = isObject(body.response) ? body.response : {};
    this.usage = usageOfResponse(response) ?? this.usage;
    if (type === "response.failed") return this.#fail(response.error ?? null);
    const items = Array.isArray(response.output) ? response.output : [];
    const calls = items.some(
      (item) => isObject(item) && (item.type === "function_call" || item.type === "custom_tool_call"),
    );
    const status = type === "response.incomplete" ? { ...response, status: "incomplete" } : response;
    this.finishReason = finishOf(status, calls || this.#calls);
    return "terminal";
  }

  #fail(error: Json): "terminal" {
    this.failure ??= parseOpenAiStreamError(error);
    return "terminal";
  }
}
