import type { Socket } from "node:net";

const SCRATCH_BYTES = 65_536;
/** The most that is handed to a socket at once, so that progress of a slow peer can be seen. */
const SLICE_BYTES = 262_144;

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** What leaves through one socket: pieces are put together so that a tick costs one write. Strings are latin1. */
export class Output {
  /** Bytes not yet given to the socket. */
  queued = 0;
  private pieces: (string | Uint8Array)[] = [];
  private backlog: Uint8Array[] = [];
  private readonly socket: Socket;
  private sharesScratch = true;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  add(piece: string | Uint8Array): void {
    this.pieces.push(piece);
    this.queued += piece.length;
  }

  /** Bytes that the peer has not taken. */
  get waiting(): number {
    return this.queued + this.socket.writableLength;
  }

  flush(): void {
    const pieces = this.pieces;
    if (pieces.length === 0) return;
    if (this.backlog.length > 0 || this.queued > SCRATCH_BYTES) {
      for (const piece of pieces) this.backlog.push(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
      pieces.length = 0;
      this.advance();
      return;
    }
    const target = this.sharesScratch ? scratch : Buffer.allocUnsafe(this.queued);
    let length = 0;
    for (const piece of pieces) {
      if (typeof piece === "string") {
        length += target.write(piece, length, "latin1");
      } else {
        target.set(piece, length);
        length += piece.length;
      }
    }
    pieces.length = 0;
    this.queued = 0;
    this.socket.write(this.sharesScratch ? target.subarray(0, length) : target);
    // If nothing waits in the socket, the kernel has all of it and the memory is ours again. Else the peer is slow, or behind TLS.
    if (this.sharesScratch && this.socket.writableLength > 0) {
      scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
      this.sharesScratch = false;
    }
  }

  /** Gives the socket more of a backlog; to be called on `drain`. */
  advance(): void {
    if (this.backlog.length === 0) return;
    this.socket.cork();
    let room = SLICE_BYTES - this.socket.writableLength;
    while (room > 0) {
      const piece = this.backlog[0];
      if (piece === undefined) break;
      const given = Math.min(piece.length, room);
      if (given === piece.length) this.backlog.shift();
      else this.backlog[0] = piece.subarray(given);
      this.socket.write(given === piece.length ? piece : piece.subarray(0, given));
      room -= given;
      this.queued -= given;
    }
    this.socket.uncork();
  }
}
