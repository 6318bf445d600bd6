import { parseMessagesStreamError } from "./anthropic-messages-errors.ts";
import { parseStop } from "./anthropic-messages-response.ts";
import { mergeUsage, parseMessagesUsage } from "./anthropic-messages-usage.ts";
import type { FinishReason, JsonObject, Usage } from "./core.ts";
import type { ProviderFailure } from "./dialect.ts";
import { isObject } from "./shape.ts";
import { readEvent } from "./sse.ts";
import { countServerTool, noCalls } from "./tool-calls.ts";
import { type EventInspector, literalsAfter, type Verdict } from "./watcher.ts";
import { isPartOfAnswer } from "./well-formed.ts";

const WRITTEN = ['"text"', '"thinking"', '"partial_json"'] as const;
const DELTA = "event: content_block_delta\n";

/** Sees usage, stop reason, errors and the size of what was written in a message's events that go by as bytes. */
export class MessagesInspector implements EventInspector {
  started = false;
  failure: ProviderFailure | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters = 0;
  /** What began, of a stream that is cut before it tells. */
  readonly toolCalls = noCalls();
  #usage: JsonObject = {};
  #calls = false;

  get usage(): Usage | undefined {
    return parseMessagesUsage(this.#usage);
  }

  inspect(text: string): Verdict {
    if (text.startsWith(DELTA)) {
      this.started = true;
      for (const key of WRITTEN) this.outputCharacters += literalsAfter(text, key);
      return "pass";
    }
    const event = readEvent(text);
    if (event === undefined) return "pass";
    let body: unknown;
    try {
      body = JSON.parse(event.data);
    } catch {
      if (event.event === "error") return this.#fail({});
      return isPartOfAnswer(event.event) ? "malformed" : "pass";
    }
    return isObject(body) ? this.#body(typeof body.type === "string" ? body.type : event.event, body, text) : "pass";
  }

  #body(type: string, body: JsonObject, text: string): "pass" | "terminal" {
    switch (type) {
      case "message_start":
        if (isObject(body.message)) this.#usage = mergeUsage(this.#usage, body.message.usage);
        return "pass";
      case "content_block_start":
        this.started = true;
        if (isObject(body.content_block) && body.content_block.type === "tool_use") this.#calls = true;
        countServerTool(body.content_block, this.toolCalls);
        return "pass";
      case "content_block_delta":
        this.started = true;
        for (const key of WRITTEN) this.outputCharacters += literalsAfter(text, key);
        return "pass";
      case "message_delta": {
        this.started = true;
        this.#usage = mergeUsage(this.#usage, body.usage);
        const stop = isObject(body.delta) ? body.delta.stop_reason : undefined;
        if (typeof stop === "string") this.finishReason = parseStop(stop, this.#calls).reason;
        return "pass";
      }
      case "message_stop":
        return "terminal";
      case "error":
        return this.#fail(body);
      default:
        return "pass";
    }
  }

  #fail(body: JsonObject): "terminal" {
    this.failure ??= parseMessagesStreamError(body);
    return "terminal";
  }
}
