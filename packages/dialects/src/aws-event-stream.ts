/**
 * Amazon's binary event streams, `application/vnd.amazon.eventstream` (https://smithy.io/2.0/aws/amazon-eventstream.html): a prelude of
 * two lengths and their CRC-32, headers, a payload, the CRC-32 of it all. Strict: what does not add up is no answer.
 */
import { WeirError } from "@weir/kernel";
import { crc32 } from "./crc32.ts";
import type { FrameReader } from "./dialect.ts";
import type { SseEvent } from "./sse.ts";

const PRELUDE_BYTES = 12;
const CHECKSUM_BYTES = 4;
/** As Amazon's own SDKs have it: 128 KiB of headers, 24 MiB of payload. */
const MAX_HEADER_BYTES = 128 * 1024;
const MAX_MESSAGE_BYTES = 24 * 1024 * 1024 + MAX_HEADER_BYTES + PRELUDE_BYTES + CHECKSUM_BYTES;

/** The name of an event that ends its stream as an error begins so; after it comes the exception's. */
export const EXCEPTION = "exception:";

const EMPTY = new Uint8Array(0);

/**
 * Reads messages from bytes that are cut anywhere. A modelled event has its `:event-type` as name; an exception, and an error without a
 * model, has `exception:` before its name.
 */
export class AwsEventStreamReader implements FrameReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #pending = EMPTY;
  #length = 0;
  /** Of the message whose prelude is here and checked; 0: none. */
  #expected = 0;

  /** @throws WeirError provider_bad_response */
  push(chunk: Uint8Array): SseEvent[] {
    const events: SseEvent[] = [];
    let bytes = this.#joined(chunk);
    for (;;) {
      if (this.#expected === 0) {
        if (bytes.length < PRELUDE_BYTES) break;
        this.#expected = messageLength(bytes);
      }
      if (bytes.length < this.#expected) break;
      events.push(this.#message(bytes.subarray(0, this.#expected)));
      bytes = bytes.subarray(this.#expected);
      this.#expected = 0;
    }
    this.#hold(bytes);
    return events;
  }

  end(): SseEvent[] {
    return [];
  }

  #joined(chunk: Uint8Array): Uint8Array {
    if (this.#length === 0) return chunk;
    this.#reserve(this.#length + chunk.length);
    this.#pending.set(chunk, this.#length);
    return this.#pending.subarray(0, this.#length + chunk.length);
  }

  #hold(bytes: Uint8Array): void {
    // The chunk's memory is its sender's; what was held already only moves to the front.
    if (bytes.buffer === this.#pending.buffer) {
      const from = bytes.byteOffset;
      if (from > 0) this.#pending.copyWithin(0, from, from + bytes.length);
    } else {
      this.#length = 0;
      this.#reserve(bytes.length);
      this.#pending.set(bytes);
    }
    this.#length = bytes.length;
  }

  #reserve(length: number): void {
    if (length <= this.#pending.length) return;
    const larger = new Uint8Array(Math.max(4096, length * 2));
    larger.set(this.#pending.subarray(0, this.#length));
    this.#pending = larger;
  }

  #message(bytes: Uint8Array): SseEvent {
    const view = viewOf(bytes);
    const end = bytes.length - CHECKSUM_BYTES;
    if (crc32(bytes.subarray(0, end)) !== view.getUint32(end)) throw broken("a message's checksum is wrong");
    const payload = PRELUDE_BYTES + view.getUint32(4);
    const headers = this.#headers(bytes.subarray(PRELUDE_BYTES, payload));
    const data = this.#text(bytes.subarray(payload, end));
    switch (headers.get(":message-type") ?? "") {
      case "event":
        return { event: headers.get(":event-type") ?? "", data };
      case "exception":
        return { event: EXCEPTION + (headers.get(":exception-type") ?? ""), data };
      case "error":
        return {
          event: EXCEPTION + (headers.get(":error-code") ?? ""),
          data: JSON.stringify({ message: headers.get(":error-message") ?? "" }),
        };
      default:
        throw broken("a message is of no known type");
    }
  }

  /** Those whose values are texts. */
  #headers(bytes: Uint8Array): ReadonlyMap<string, string> {
    const view = viewOf(bytes);
    const headers = new Map<string, string>();
    let at = 0;
    const take = (length: number): Uint8Array => {
      if (at + length > bytes.length) throw broken("a header ends too early");
      const taken = bytes.subarray(at, at + length);
      at += length;
      return taken;
    };
    const short = (): number => {
      const from = at;
      take(2);
      return view.getUint16(from);
    };
    while (at < bytes.length) {
      const name = this.#text(take(take(1)[0] ?? 0));
      const type = take(1)[0] ?? -1;
      const fixed = FIXED[type];
      if (fixed !== undefined) take(fixed);
      else if (type === BYTES) take(short());
      else if (type === TEXT) headers.set(name, this.#text(take(short())));
      else throw broken("a header is of no known type");
    }
    return headers;
  }

  #text(bytes: Uint8Array): string {
    try {
      return this.#decoder.decode(bytes);
    } catch (cause) {
      throw broken("a text is no UTF-8", cause);
    }
  }
}

const BYTES = 6;
const TEXT = 7;
/** How long a header's value is, by its type: true, false, byte, short, integer, long; timestamp, uuid. */
const FIXED: Readonly<Record<number, number>> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 };

/** @param bytes at least a prelude */
function messageLength(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const length = view.getUint32(0);
  const headers = view.getUint32(4);
  // Checked before the lengths are believed: a broken one must not make us wait for bytes that never come.
  if (crc32(bytes.subarray(0, 8)) !== view.getUint32(8)) throw broken("a prelude's checksum is wrong");
  if (length > MAX_MESSAGE_BYTES || headers > MAX_HEADER_BYTES || headers > length - PRELUDE_BYTES - CHECKSUM_BYTES)
    throw broken("a message's length cannot be");
  return length;
}

const encoder = new TextEncoder();

/** A message as AwsEventStreamReader reads it: `exception:` before its name makes it an exception. */
export function encodeAwsEvent({ event, data }: SseEvent): Uint8Array {
  const exception = event.startsWith(EXCEPTION);
  const headers = [
    [exception ? ":exception-type" : ":event-type", exception ? event.slice(EXCEPTION.length) : event],
    [":content-type", "application/json"],
    [":message-type", exception ? "exception" : "event"],
  ].map(([name = "", value = ""]) => [encoder.encode(name), encoder.encode(value)] as const);
  const payload = encoder.encode(data);
  const headerLength = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
  const bytes = new Uint8Array(PRELUDE_BYTES + headerLength + payload.length + CHECKSUM_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length);
  view.setUint32(4, headerLength);
  view.setUint32(8, crc32(bytes.subarray(0, 8)));
  let at = PRELUDE_BYTES;
  for (const [name, value] of headers) {
    view.setUint8(at, name.length);
    bytes.set(name, at + 1);
    view.setUint8(at + 1 + name.length, TEXT);
    view.setUint16(at + 2 + name.length, value.length);
    bytes.set(value, at + 4 + name.length);
    at += 4 + name.length + value.length;
  }
  bytes.set(payload, at);
  const end = bytes.length - CHECKSUM_BYTES;
  view.setUint32(end, crc32(bytes.subarray(0, end)));
  return bytes;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const broken = (what: string, cause?: unknown): WeirError =>
  new WeirError("provider_bad_response", `the provider's stream cannot be read: ${what}`, { cause });
