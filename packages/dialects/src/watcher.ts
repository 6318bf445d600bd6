import { WeirError } from "@weir/kernel";
import type { FinishReason, ToolCalls, Usage } from "./core.ts";
import type { ProviderFailure, StreamWatcher, WatchedEnd } from "./dialect.ts";
import { EventSplitter, MAX_EVENT_BYTES } from "./sse.ts";
import { hasAny, withCalls } from "./tool-calls.ts";
import { isWellFormed } from "./well-formed.ts";
import type { Written } from "./written.ts";

export type Verdict = "pass" | "hide" | "terminal" | "malformed";

/**
 * What a dialect's eyes see of a stream that is passed on as bytes. One per stream. It is called for every event, so it looks for a
 * few substrings and parses JSON only where one of them is found: usage, finish reason, error.
 */
export interface EventInspector {
  /**
   * @param text one whole event as it came, `data: ` and blank line included; use `readEvent` where its content matters.
   * It may also be a comment, a blank line, or (last) the incomplete end of a cut stream.
   * @returns "hide" to leave the event out, "terminal" to keep it and all after it back, "malformed" for what is no event of a model: the
   * stream ends before it, with an error. Never throws.
   */
  inspect(text: string): Verdict;
  readonly started: boolean;
  readonly failure: ProviderFailure | undefined;
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly outputCharacters: number;
  /** What the provider ran by itself so far; undefined, or zeros: nothing. */
  readonly toolCalls?: ToolCalls | undefined;
  /** What the model wrote, where that was asked for. */
  readonly written?: Written | undefined;
}

const EMPTY = new Uint8Array(0);

const malformed = (): WeirError =>
  new WeirError("provider_bad_response", "The provider's stream has an event that is not JSON.");

/** The StreamWatcher of every dialect whose streams are server-sent events. */
export class SseWatcher implements StreamWatcher {
  readonly #inspector: EventInspector;
  readonly #splitter: EventSplitter;
  readonly #decoder = new TextDecoder();
  readonly #withheld: Uint8Array[] = [];
  #done = false;
  #malformed: ProviderFailure | undefined;
  /** By how much UTF-8 is longer than the characters it holds. */
  #surplus = 0;

  constructor(inspector: EventInspector, maxEventBytes = MAX_EVENT_BYTES) {
    this.#inspector = inspector;
    this.#splitter = new EventSplitter(maxEventBytes);
  }

  get started(): boolean {
    return this.#inspector.started;
  }

  get done(): boolean {
    return this.#done;
  }

  get failure(): ProviderFailure | undefined {
    return this.#malformed ?? this.#inspector.failure;
  }

  get written(): readonly string[] | undefined {
    return this.#inspector.written?.texts();
  }

  get outputBytes(): number {
    return this.#inspector.outputCharacters + this.#surplus;
  }

  /** @throws WeirError provider_bad_response where an event is larger than the limit */
  push(chunk: Uint8Array): Uint8Array | undefined {
    const whole = this.#splitter.push(chunk);
    if (whole === undefined) return undefined;
    const { bytes, ends } = whole;
    // Bytes before `from` were left out or are in `shown`; `start` is where the next event starts.
    let shown: Uint8Array[] | undefined;
    let from = 0;
    let start = 0;
    for (const end of ends) {
      const text = this.#decoder.decode(bytes.subarray(start, end));
      this.#surplus += end - start - text.length;
      // What comes after the end is nobody's: it neither counts nor spoils what was whole.
      if (this.#malformed !== undefined) break;
      const verdict = this.#done || isWellFormed(text) ? this.#inspector.inspect(text) : "malformed";
      if (!this.#done && verdict !== "pass") {
        if (start > from) (shown ??= []).push(bytes.subarray(from, start));
        from = verdict === "hide" ? end : start;
        this.#done = verdict !== "hide";
        if (verdict === "malformed") this.#malformed = { error: malformed() };
      }
      start = end;
    }
    if (this.#malformed !== undefined) return shown === undefined ? undefined : join(shown);
    if (this.#done) this.#withheld.push(bytes.slice(from));
    else if (from === 0) return bytes;
    else if (from < bytes.length) (shown ??= []).push(bytes.subarray(from));
    return shown === undefined ? undefined : join(shown);
  }

  end(): WatchedEnd {
    const inspector = this.#inspector;
    const rest = this.#splitter.rest();
    if (rest.length > 0 && this.#malformed === undefined) {
      // A terminal event may lack its blank line; anything else that does is the torn end of a cut stream.
      if (!this.#done && inspector.inspect(this.#decoder.decode(rest)) === "terminal") this.#done = true;
      if (this.#done) this.#withheld.push(rest);
    }
    const cut = this.#done ? undefined : new WeirError("stream_interrupted", "the provider's stream ended too early");
    const { usage } = inspector;
    const toolCalls =
      inspector.toolCalls !== undefined && hasAny(inspector.toolCalls) ? inspector.toolCalls : undefined;
    return {
      terminal: join(this.#withheld),
      error: this.failure?.error ?? cut,
      usage: usage?.toolCalls === undefined ? withCalls(usage, toolCalls) : usage,
      toolCalls,
      finishReason: inspector.finishReason,
      outputCharacters: inspector.outputCharacters,
    };
  }
}

/** Characters of a JSON string literal in `text` whose opening quote is at `quote`, escapes counted as one. */
export function literalLength(text: string, quote: number): number {
  let end = text.indexOf('"', quote + 1);
  if (end === -1) return text.length - quote - 1;
  let escape = text.indexOf("\\", quote + 1);
  if (escape === -1 || escape > end) return end - quote - 1;
  let length = 0;
  let from = quote + 1;
  while (escape !== -1 && escape < end) {
    length += escape - from + 1;
    from = escape + (text.charCodeAt(escape + 1) === 117 ? 6 : 2);
    if (end < from) end = text.indexOf('"', from);
    if (end === -1) return length + Math.max(0, text.length - from);
    escape = text.indexOf("\\", from);
  }
  return length + end - from;
}

/**
 * Adds the lengths of the string literals that follow each occurrence of `key` (quotes included) and a colon.
 * @param into takes the literals themselves
 */
export function literalsAfter(text: string, key: string, into?: Written): number {
  let length = 0;
  for (let at = text.indexOf(key); at !== -1; at = text.indexOf(key, at + key.length)) {
    const value = valueAt(text, at + key.length);
    if (value === -1 || text.charCodeAt(value) !== 34) continue;
    length += literalLength(text, value);
    into?.literal(text.slice(value + 1, literalEnd(text, value + 1)));
  }
  return length;
}

/** Where the string literal ends that starts at `from`. */
function literalEnd(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34) return at;
    if (code === 92) at += 1;
  }
  return at;
}

/** Where the value starts that follows a key which ended before `from`: past spaces and the colon; -1 where no colon follows. */
export function valueAt(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at += 1;
  if (text.charCodeAt(at) !== 58) return -1;
  at += 1;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

const isSpace = (code: number): boolean => code === 32 || code === 9 || code === 10 || code === 13;

function join(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 0) return EMPTY;
  if (pieces.length === 1) return pieces[0] ?? EMPTY;
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
