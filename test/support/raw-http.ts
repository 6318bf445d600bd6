import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface RawAnswer {
  /** All bytes that came, as latin1. */
  readonly text: string;
  /** The status of each answer in it. */
  readonly statuses: readonly number[];
  /** The other side closed; else the time was over. */
  readonly closed: boolean;
}

/** Writes bytes as they are to a server, pauses where a number (ms) stands, and reads until it closes or `forMs` is over. */
export async function talk(
  url: string,
  pieces: readonly (string | Buffer | number)[],
  forMs = 3_000,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = "";
  let closed = false;
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("end", () => (closed = true));
  // A server that closes while we still write resets the connection.
  socket.on("error", () => (closed = true));
  await once(socket, "connect");
  const over = once(socket, "close");
  for (const piece of pieces) {
    if (typeof piece === "number") await sleep(piece);
    else if (!socket.destroyed) socket.write(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
  }
  await Promise.race([over, sleep(forMs, undefined, { ref: false })]);
  socket.destroy();
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { text, statuses, closed };
}
