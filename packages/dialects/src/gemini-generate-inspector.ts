import { errorOf, parseGenerateStreamError } from "./gemini-generate-errors.ts";
import { blockReasonOf, hasFinished, parseFinish } from "./gemini-generate-finish.ts";
import { listOf } from "./gemini-generate-parts.ts";
import { inspectCandidates } from "./gemini-generate-response.ts";
import { parseGenerateUsage } from "./gemini-generate-usage.ts";
import type { FinishReason, Json, JsonObject, ToolCalls, Usage } from "./core.ts";
import type { ProviderFailure } from "./dialect.ts";
import { isObject } from "./shape.ts";
import { readEvent } from "./sse.ts";
import { Grounding } from "./tool-calls.ts";
import { type EventInspector, literalsAfter } from "./watcher.ts";

/** Chunks with one of these are parsed; quotes inside JSON strings are escaped, so that no content looks like a key. */
const TELLING = ['"finishReason"', '"error"', '"promptFeedback"', '"functionCall"', '"groundingMetadata"'] as const;

/**
 * Sees usage, finish reason, errors and the size of what was written in chunks that go by as bytes. Google has no terminal event: the
 * chunk in which the last candidate finishes is it.
 */
export class GenerateInspector implements EventInspector {
  started = false;
  failure: ProviderFailure | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters = 0;
  readonly #finished = new Map<number, boolean>();
  #calls = false;
  #latest = "";
  readonly #grounding = new Grounding();

  get toolCalls(): ToolCalls | undefined {
    return this.#grounding.calls;
  }

  /** Every chunk repeats the usage so far: only the latest is read, and only when asked for. */
  get usage(): Usage | undefined {
    const body = this.#latest === "" ? undefined : parse(this.#latest);
    return isObject(body) ? parseGenerateUsage(body.usageMetadata) : undefined;
  }

  inspect(text: string): "pass" | "terminal" {
    if (text.includes('"usageMetadata"')) this.#latest = text;
    if (
      this.started &&
      !TELLING.some((key) => text.includes(key)) &&
      !text.includes('"index": 1') &&
      !text.includes('"index":1')
    ) {
      this.outputCharacters += literalsAfter(text, '"text"');
      return "pass";
    }
    const body = parse(text);
    const error = errorOf(body);
    if (error !== undefined) {
      this.failure ??= parseGenerateStreamError(error);
      return "terminal";
    }
    return isObject(body) ? this.#body(body) : "pass";
  }

  #body(body: JsonObject): "pass" | "terminal" {
    const seen = inspectCandidates(body);
    this.#grounding.add(body);
    this.outputCharacters += seen.outputCharacters;
    this.#calls ||= seen.calls;
    if (seen.content || seen.finishReason !== undefined) this.started = true;
    const candidates = listOf(body.candidates).filter(isObject);
    if (candidates.length === 0 && blockReasonOf(body) !== undefined) {
      this.finishReason ??= "content-filter";
      return "terminal";
    }
    for (const [at, candidate] of candidates.entries()) {
      const index = typeof candidate.index === "number" ? candidate.index : at;
      const finished = hasFinished(candidate);
      this.#finished.set(index, finished || this.#finished.get(index) === true);
      if (finished && (this.finishReason === undefined || index === 0))
        this.finishReason = parseFinish(candidate.finishReason, this.#calls).reason;
    }
    for (const finished of this.#finished.values()) if (!finished) return "pass";
    return this.#finished.size === 0 ? "pass" : "terminal";
  }
}

function parse(text: string): Json | undefined {
  const event = readEvent(text);
  if (event === undefined) return undefined;
  try {
    return JSON.parse(event.data) as Json;
  } catch {
    // Not for us to refuse: the client reads it, too.
    return undefined;
  }
}
