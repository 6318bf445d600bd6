import net from "node:net";
import {
  createHttpClient,
  type HttpClient,
  type HttpClientError,
  type HttpServer,
  type RenderedError,
} from "../src/index.ts";
import { type HttpHandler, type HttpServerOptions, serveHttp } from "../src/index.ts";
import type { ClientRequest } from "../src/index.ts";

/** Renders refusals as `reason: message`. */
export const plainRefusal = (_status: number, reason: string, message: string): RenderedError => ({
  headers: "content-type: text/plain\r\n",
  body: `${reason}: ${message}`,
});

export const start = (handler: HttpHandler, options: Partial<HttpServerOptions> = {}): Promise<HttpServer> =>
  serveHttp(handler, { listen: { host: "127.0.0.1", port: 0 }, onBadRequest: plainRefusal, ...options });

/** Tells the request back: method, path, query and the body's length and text. */
export const echo: HttpHandler = (request, reply) => {
  const text = request.body.length > 200 ? "(long)" : request.body.toString("latin1");
  reply.send(
    200,
    "content-type: text/plain\r\n",
    `${request.method} ${request.path} ${request.query} [${request.body.length}] ${text}`,
  );
};

/** A bare socket: says what it is told, remembers what it hears. */
export class Raw {
  heard = "";
  closed = false;
  readonly socket: net.Socket;
  readonly #waiting: (() => void)[] = [];

  private constructor(socket: net.Socket) {
    this.socket = socket;
    const news = (): void => {
      for (const wake of this.#waiting.splice(0)) wake();
    };
    socket.on("data", (chunk: Buffer) => {
      this.heard += chunk.toString("latin1");
      news();
    });
    socket.on("error", news);
    socket.on("close", () => {
      this.closed = true;
      news();
    });
  }

  static async connect(port: number): Promise<Raw> {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: false });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new Raw(socket);
  }

  say(text: string): void {
    this.socket.write(Buffer.from(text, "latin1"));
  }

  async until(test: (raw: Raw) => boolean): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!test(this)) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited in vain; heard: ${JSON.stringify(this.heard)}, closed: ${this.closed}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Everything until the server closes. */
  async whole(): Promise<string> {
    await this.until((raw) => raw.closed);
    return this.heard;
  }
}

export async function exchange(port: number, text: string): Promise<string> {
  const raw = await Raw.connect(port);
  raw.say(text);
  return raw.whole();
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly header: (name: string) => string | undefined;
}

export const patient = { connectMs: 10_000, firstByteMs: 10_000, idleMs: 10_000 };

/** One request, its answer as a value. Rejects with the HttpClientError. */
export function ask(client: HttpClient, request: Partial<ClientRequest> & { path: string }): Promise<Answer> {
  return new Promise((resolve, reject: (error: HttpClientError) => void) => {
    const parts: Buffer[] = [];
    let status = 0;
    let header: Answer["header"] = () => undefined;
    client.request(
      { method: request.body === undefined ? "GET" : "POST", headers: "", ...patient, ...request },
      {
        head(code, headers) {
          status = code;
          header = (name) => headers.get(name);
        },
        data: (chunk) => parts.push(chunk),
        end: () => resolve({ status, body: Buffer.concat(parts).toString("latin1"), header }),
        error: reject,
      },
    );
  });
}

export const clientFor = (port: number, maxConnections = 8): HttpClient =>
  createHttpClient(`http://127.0.0.1:${port}`, { maxConnections });

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
