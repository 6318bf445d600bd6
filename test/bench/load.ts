/**
 * A load generator on node:net. Every answer is checked: status 200 and, to the byte, an end that only a whole answer has. One failure
 * voids the window. Run: node load.ts '<LoadOptions as JSON>'; prints a LoadResult as JSON.
 */
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second over all connections; undefined: each connection sends when it was answered. */
  readonly rate?: number;
  /** What the last bytes of a whole answer must hold. */
  readonly endsWith: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Anything here voids the window. */
  readonly failures: readonly string[];
}

const CRLF2 = Buffer.from("\r\n\r\n");
const CHUNKED_END = Buffer.from("0\r\n\r\n");

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

class Client {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #ending: Buffer;
  readonly #onAnswer: (client: Client, ms: number) => void;
  readonly #onFailure: (what: string) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Of the whole answer; -1: not known yet; -2: chunked. */
  #expected = -1;
  #startedMs = 0;
  busy = false;

  constructor(
    port: number,
    request: Buffer,
    endsWith: string,
    onAnswer: (client: Client, ms: number) => void,
    onFailure: (what: string) => void,
  ) {
    this.#request = request;
    this.#ending = Buffer.from(endsWith);
    this.#onAnswer = onAnswer;
    this.#onFailure = onFailure;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("error", (error) => onFailure(error.message));
    this.#socket.on("close", () => this.busy && onFailure("the connection was closed"));
  }

  send(startedMs: number): void {
    this.busy = true;
    this.#startedMs = startedMs;
    this.#parts = [];
    this.#bytes = 0;
    this.#expected = -1;
    this.#socket.write(this.#request);
  }

  #take(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    if (this.#expected === -1) this.#readHead();
    if (this.#expected === -1) return;
    if (this.#expected >= 0 ? this.#bytes >= this.#expected : chunk.subarray(-5).equals(CHUNKED_END)) this.#done();
  }

  #readHead(): void {
    const all = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    const end = all.indexOf(CRLF2);
    if (end < 0) return;
    const head = all.toString("latin1", 0, end);
    if (!head.startsWith("HTTP/1.1 200"))
      this.#onFailure(`answered ${head.slice(0, 60)} ${all.subarray(end, end + 300).toString()}`);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    this.#expected = length === null ? -2 : end + 4 + Number(length[1]);
  }

  #done(): void {
    const tail = Buffer.concat(this.#parts.slice(-4));
    if (!tail.includes(this.#ending)) this.#onFailure(`an answer lacks its end: ${tail.subarray(-80).toString()}`);
    this.busy = false;
    this.#onAnswer(this, performance.now() - this.#startedMs);
  }

  close(): void {
    this.busy = false;
    this.#socket.destroy();
  }
}

export async function load(options: LoadOptions): Promise<LoadResult> {
  const lines = Object.entries({
    host: `127.0.0.1:${options.port}`,
    "content-type": "application/json",
    ...options.headers,
  });
  const request = Buffer.from(
    `POST ${options.path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}content-length: ${Buffer.byteLength(options.body)}\r\n\r\n${options.body}`,
  );
  const latencies: number[] = [];
  const failures: string[] = [];
  const fail = (what: string): void => void (failures.length < 5 && failures.push(what));
  let over = false;
  const idle: Client[] = [];
  const late: number[] = [];
  const answered = (client: Client, ms: number): void => {
    if (over) return;
    latencies.push(ms);
    if (options.rate === undefined) return client.send(performance.now());
    // Open loop: a request that found no free connection counts from when it should have been sent.
    const due = late.shift();
    if (due === undefined) idle.push(client);
    else client.send(due);
  };
  const clients = Array.from(
    { length: options.connections },
    () => new Client(options.port, request, options.endsWith, answered, fail),
  );
  const startedMs = performance.now();
  if (options.rate === undefined) for (const client of clients) client.send(performance.now());
  else {
    idle.push(...clients);
    const gapMs = 1000 / options.rate;
    let dueMs = performance.now();
    const tick = (): void => {
      if (over) return;
      for (const now = performance.now(); dueMs <= now; dueMs += gapMs) {
        const client = idle.pop();
        if (client === undefined) late.push(dueMs);
        else client.send(dueMs);
      }
      setTimeout(tick, Math.max(0, dueMs - performance.now()));
    };
    tick();
  }
  await new Promise((resolve) => setTimeout(resolve, options.seconds * 1000));
  over = true;
  const seconds = (performance.now() - startedMs) / 1000;
  for (const client of clients) client.close();
  const sorted = Float64Array.from(latencies).sort();
  return {
    requests: latencies.length,
    seconds,
    perSecond: latencies.length / seconds,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? 0,
    failures,
  };
}

const argument = process.argv[2];
if (argument !== undefined && process.argv[1]?.endsWith("load.ts") === true) {
  process.stdout.write(JSON.stringify(await load(JSON.parse(argument) as LoadOptions)));
  process.exitCode = 0;
}
