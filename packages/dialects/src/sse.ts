import { WeirError } from "@weir/kernel";

/** One server-sent event. `event` is "" where the stream names none; `data` lines are joined by "\n". */
export interface SseEvent {
  readonly event: string;
  readonly data: string;
}

/** The largest event that is held in memory. The final event of an answer with generated images carries megabytes of base64. */
export const MAX_EVENT_BYTES = 64 * 1024 * 1024;

const LF = 10;
const CR = 13;
const EMPTY = new Uint8Array(0);

/** Whole events, in the bytes they came in. */
export interface WholeEvents {
  /** May be a view of the chunk that was pushed: use it before the chunk is reused. */
  readonly bytes: Uint8Array;
  /** Where each event ends in `bytes`, its blank line included; valid until the next push. */
  readonly ends: readonly number[];
}

/**
 * Cuts a byte stream at event boundaries (a blank line, ended by LF, CR or CRLF) without decoding it. What it returns, put together
 * with `rest`, is what was pushed. The LF of a CRLF that comes in the next chunk starts the next event, where it means nothing.
 */
export class EventSplitter {
  readonly #maxEventBytes: number;
  readonly #ends: number[] = [];
  #pending = EMPTY;
  #pendingLength = 0;
  #atLineStart = true;
  #afterCr = false;

  constructor(maxEventBytes = MAX_EVENT_BYTES) {
    this.#maxEventBytes = maxEventBytes;
  }

  /**
   * @returns the events that are whole by now; undefined where none is
   * @throws WeirError provider_bad_response where an event is larger than the limit
   */
  push(chunk: Uint8Array): WholeEvents | undefined {
    const held = this.#pendingLength;
    const end = this.#scan(chunk, held);
    if (end === 0) {
      this.#hold(chunk, 0);
      return undefined;
    }
    let bytes: Uint8Array;
    if (held === 0) bytes = end === chunk.length ? chunk : chunk.subarray(0, end);
    else {
      bytes = new Uint8Array(held + end);
      bytes.set(this.#pending.subarray(0, held));
      bytes.set(end === chunk.length ? chunk : chunk.subarray(0, end), held);
    }
    this.#pendingLength = 0;
    if (end < chunk.length) this.#hold(chunk, end);
    else if (this.#pending.length > 65536) this.#pending = EMPTY;
    return { bytes, ends: this.#ends };
  }

  /** What came after the last whole event. */
  rest(): Uint8Array {
    return this.#pending.slice(0, this.#pendingLength);
  }

  /** Fills `#ends` (offset by what is held already) and returns where the last whole event ends in `chunk`, 0 where none does. */
  #scan(chunk: Uint8Array, held: number): number {
    const ends = this.#ends;
    ends.length = 0;
    let atLineStart = this.#atLineStart;
    let afterCr = this.#afterCr;
    let last = 0;
    const length = chunk.length;
    for (let index = 0; index < length; index += 1) {
      const byte = chunk[index] as number;
      if (byte > CR) {
        atLineStart = false;
        afterCr = false;
        continue;
      }
      if (byte === LF) {
        if (afterCr) {
          afterCr = false;
          // The rest of a line end that was counted at its CR; an event that ended there owns it too.
          if (last === index && last > 0) ends[ends.length - 1] = held + (last = index + 1);
          continue;
        }
      } else if (byte === CR) afterCr = true;
      else {
        atLineStart = false;
        afterCr = false;
        continue;
      }
      if (atLineStart) ends.push(held + (last = index + 1));
      atLineStart = true;
    }
    this.#atLineStart = atLineStart;
    this.#afterCr = afterCr;
    return last;
  }

  #hold(chunk: Uint8Array, from: number): void {
    const length = this.#pendingLength + chunk.length - from;
    if (length > this.#maxEventBytes)
      throw new WeirError(
        "provider_bad_response",
        `an event of the stream is larger than ${this.#maxEventBytes} bytes`,
      );
    if (length > this.#pending.length) {
      const larger = new Uint8Array(Math.max(1024, length * 2));
      larger.set(this.#pending.subarray(0, this.#pendingLength));
      this.#pending = larger;
    }
    this.#pending.set(from === 0 ? chunk : chunk.subarray(from), this.#pendingLength);
    this.#pendingLength = length;
  }
}

const LINE_END = /\r\n|\r|\n/;

/**
 * Reads the text of one whole event, by the rules of the HTML standard (§9.2.6).
 * @returns undefined for what dispatches nothing: comments, blank lines, fields without data
 */
export function readEvent(text: string): SseEvent | undefined {
  if (text.startsWith("data: ")) {
    const end = text.indexOf("\n");
    // One data line, which is what nearly every event is.
    if (end === text.length - 2 && text.charCodeAt(end + 1) === LF && text.indexOf("\r") === -1)
      return { event: "", data: text.slice(6, end) };
  }
  let event = "";
  let data: string | undefined;
  for (const line of text.split(LINE_END)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon === -1 ? line : line.slice(0, colon);
    if (field !== "data" && field !== "event") continue;
    const value = colon === -1 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1);
    if (field === "event") event = value;
    else data = data === undefined ? value : `${data}\n${value}`;
  }
  return data === undefined ? undefined : { event, data };
}

/** Reads events from bytes that are cut anywhere. One per stream. */
export class SseParser {
  readonly #splitter: EventSplitter;
  // Not fatal: a broken character becomes U+FFFD, as in every browser; it strips the BOM at the start of the stream.
  readonly #decoder = new TextDecoder();

  constructor(maxEventBytes = MAX_EVENT_BYTES) {
    this.#splitter = new EventSplitter(maxEventBytes);
  }

  /** @throws WeirError provider_bad_response where an event is larger than the limit */
  push(chunk: Uint8Array): SseEvent[] {
    const whole = this.#splitter.push(chunk);
    if (whole === undefined) return [];
    const events: SseEvent[] = [];
    let start = 0;
    for (const end of whole.ends) {
      const event = readEvent(this.#decoder.decode(whole.bytes.subarray(start, end)));
      if (event !== undefined) events.push(event);
      start = end;
    }
    return events;
  }

  /**
   * The last event where the stream ended without its blank line: the standard drops it, but `data: [DONE]` is sent that way. Torn data
   * (no whole JSON) is dropped: its stream was cut.
   */
  end(): SseEvent[] {
    const event = readEvent(this.#decoder.decode(this.#splitter.rest()));
    return event === undefined || !isWhole(event.data) ? [] : [event];
  }
}

function isWhole(data: string): boolean {
  if (/(?:^|\n)\[DONE\]\s*$/.test(data)) return true;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}

/** The text of an event, its blank line included. */
export function encodeSse(event: SseEvent): string {
  const { data } = event;
  const body = data.indexOf("\n") === -1 && data.indexOf("\r") === -1 ? data : data.split(LINE_END).join("\ndata: ");
  return event.event === "" ? `data: ${body}\n\n` : `event: ${event.event}\ndata: ${body}\n\n`;
}
