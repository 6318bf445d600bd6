import { Code, ConnectError } from "@connectrpc/connect";
import { Gather } from "@weir/http1";

/** Envelopes of the Connect protocol: a byte of flags, the length in four bytes, the payload. */

export const ENVELOPE_HEAD_BYTES = 5;
export const FLAG_COMPRESSED = 1;
export const FLAG_END = 2;

export function envelope(flags: number, payload: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(ENVELOPE_HEAD_BYTES + payload.length);
  whole[0] = flags;
  whole.writeUInt32BE(payload.length, 1);
  whole.set(payload, ENVELOPE_HEAD_BYTES);
  return whole;
}

/** The one message of a request. @throws ConnectError invalid_argument */
export function openSingle(body: Buffer): Buffer {
  if (
    body.length < ENVELOPE_HEAD_BYTES ||
    body[0] !== 0 ||
    body.readUInt32BE(1) !== body.length - ENVELOPE_HEAD_BYTES
  ) {
    throw new ConnectError("the request is not one uncompressed message", Code.InvalidArgument);
  }
  return body.subarray(ENVELOPE_HEAD_BYTES);
}

/** Takes envelopes out of a stream that may be cut anywhere. */
export class EnvelopeReader {
  private readonly maxBytes: number;
  private readonly onEnvelope: (flags: number, payload: Buffer) => void;
  private readonly head = Buffer.alloc(ENVELOPE_HEAD_BYTES);
  private headBytes = 0;
  private readonly payload = new Gather();

  constructor(maxBytes: number, onEnvelope: (flags: number, payload: Buffer) => void) {
    this.maxBytes = maxBytes;
    this.onEnvelope = onEnvelope;
  }

  /** Some of an envelope has come, but not all. */
  get inside(): boolean {
    return this.headBytes > 0;
  }

  /** @throws ConnectError resource_exhausted for a payload that is too large */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.headBytes < ENVELOPE_HEAD_BYTES) {
        const taken = Math.min(ENVELOPE_HEAD_BYTES - this.headBytes, chunk.length - at);
        chunk.copy(this.head, this.headBytes, at, at + taken);
        this.headBytes += taken;
        at += taken;
        if (this.headBytes < ENVELOPE_HEAD_BYTES) return;
      }
      const length = this.head.readUInt32BE(1);
      if (length > this.maxBytes) {
        throw new ConnectError(`a message of ${length} bytes is larger than ${this.maxBytes}`, Code.ResourceExhausted);
      }
      const taken = Math.min(length - this.payload.length, chunk.length - at);
      this.payload.append(chunk, at, at + taken);
      at += taken;
      if (this.payload.length < length) return;
      this.headBytes = 0;
      this.onEnvelope(this.head[0] ?? 0, this.payload.take());
    }
  }
}
