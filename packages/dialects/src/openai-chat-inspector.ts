import type { FinishReason, Json, JsonObject, ToolCalls, Usage } from "./core.ts";
import type { ProviderFailure, WatchOptions } from "./dialect.ts";
import { charactersOf, errorOf, parseFinish, textsOf, usageOf } from "./openai-chat-response.ts";
import { PARSE, scanChunk } from "./openai-chat-scan.ts";
import { parseOpenAiStreamError } from "./openai-errors.ts";
import { parseOpenAiUsage, tiered } from "./openai-usage.ts";
import { isObject } from "./shape.ts";
import { readEvent } from "./sse.ts";
import { executedCalls, groqCalls } from "./tool-calls.ts";
import type { EventInspector, Verdict } from "./watcher.ts";
import { isPartOfAnswer } from "./well-formed.ts";
import { Written } from "./written.ts";

/** Sees usage, finish reason, errors and the size of what was written in chat completion chunks that go by as bytes. */
export class ChatInspector implements EventInspector {
  readonly #hideUsage: boolean;
  started = false;
  failure: ProviderFailure | undefined;
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters = 0;
  #calls = false;
  readonly #executed = new Map<string, JsonObject>();
  readonly written: Written | undefined;

  constructor(options: WatchOptions) {
    this.#hideUsage = options.hideUsage;
    this.written = options.keepText === true ? new Written() : undefined;
  }

  get toolCalls(): ToolCalls | undefined {
    return groqCalls(this.#executed);
  }

  inspect(text: string): Verdict {
    const characters = this.started && text.startsWith("data: {") ? scanChunk(text, this.#calls, this.written) : PARSE;
    if (characters === PARSE) return this.#parse(text);
    this.outputCharacters += characters;
    return "pass";
  }

  #parse(text: string): Verdict {
    const event = readEvent(text);
    if (event === undefined) return "pass";
    const joined = event.data.endsWith("\n[DONE]");
    const data = (joined ? event.data.slice(0, -7) : event.data).trim();
    if (data === "[DONE]") return this.#end();
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch {
      if (event.event === "error") return this.#fail(data);
      return isPartOfAnswer(event.event) ? "malformed" : "pass";
    }
    if (!isObject(chunk)) return "pass";
    const error = errorOf(chunk) ?? (event.event === "error" || chunk.object === "error" ? chunk : undefined);
    if (error !== undefined) return this.#fail(error);
    const verdict = this.#chunk(chunk);
    return joined ? this.#end() : verdict;
  }

  #chunk(chunk: JsonObject): "pass" | "hide" {
    const choices = Array.isArray(chunk.choices) ? chunk.choices.filter(isObject) : [];
    for (const choice of choices) {
      const delta = isObject(choice.delta) ? choice.delta : isObject(choice.message) ? choice.message : {};
      this.outputCharacters += charactersOf(delta);
      if (this.written !== undefined) for (const text of textsOf(delta)) this.written.text(text);
      if (Array.isArray(delta.tool_calls) && delta.tool_calls.length > 0) this.#calls = true;
      if (!this.started && hasContent(delta)) this.started = true;
      const reason = choice.finish_reason;
      if (reason === undefined || reason === null || reason === "") continue;
      this.started = true;
      if (this.finishReason === undefined || choice.index === 0) this.finishReason = parseFinish(reason, this.#calls);
    }
    executedCalls(choices, this.#executed);
    const usage = tiered(parseOpenAiUsage(usageOf(chunk)), chunk);
    if (usage !== undefined) this.usage = usage;
    return this.#hideUsage && choices.length === 0 && isObject(chunk.usage) ? "hide" : "pass";
  }

  #end(): "terminal" {
    // Missing where a server says no reason at all.
    if (this.failure === undefined && this.started) this.finishReason ??= parseFinish(undefined, this.#calls);
    return "terminal";
  }

  #fail(error: Json): "terminal" {
    this.failure ??= parseOpenAiStreamError(error);
    return "terminal";
  }
}

/** Anything but the opening chunk, which only says who speaks: from here on a retry would repeat what was shown. */
function hasContent(delta: JsonObject): boolean {
  for (const key of Object.keys(delta)) {
    const value = delta[key];
    if (key === "role" || value === null || value === "" || (Array.isArray(value) && value.length === 0)) continue;
    return true;
  }
  return false;
}
