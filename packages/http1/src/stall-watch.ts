import type { Socket } from "node:net";

/** Sees whether the peer of a socket takes what waits for it. */
export class StallWatch {
  private readonly socket: Socket;
  private takenBytes = 0;
  private sinceMs = 0;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** For how long it has taken nothing though something waits. To be called often. */
  durationMs(nowMs: number): number {
    if (this.socket.writableLength === 0) {
      this.sinceMs = 0;
      return 0;
    }
    const takenBytes = this.socket.bytesWritten - this.socket.writableLength;
    if (this.sinceMs === 0 || takenBytes !== this.takenBytes) {
      this.takenBytes = takenBytes;
      this.sinceMs = nowMs;
    }
    return nowMs - this.sinceMs;
  }
}
