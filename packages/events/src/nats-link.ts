import { connect, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node";
import { BusUnavailableError } from "./bus.ts";

const RECONNECT_MS = 250;
const PING_MS = 10_000;
/** The library would wait 20 s for a server that was killed in the middle of a handshake. */
const CONNECT_MS = 4_000;

/** One connection to NATS that is made in the background and made again forever. Knows at every moment whether it is there. */
export class NatsLink {
  readonly #opening: Promise<void>;
  #connection: NatsConnection | undefined;
  #up = false;
  #closed = false;
  #lost: (() => void)[] = [];
  #found: (() => void)[] = [];
  #error: unknown;

  constructor(url: string) {
    this.#opening = this.#open(connectionOptions(url));
  }

  /** @throws BusUnavailableError */
  connected(): NatsConnection {
    if (this.#connection !== undefined && this.#up && !this.#closed) return this.#connection;
    throw this.#unavailable();
  }

  /** Resolves when it is there, or closed. */
  async found(): Promise<void> {
    while (!this.#up && !this.#closed) await new Promise<void>((resolve) => this.#found.push(resolve));
  }

  /** The promise; rejects as soon as the connection goes. An answer would never come, and the library waits for its time-out. */
  async unlessLost<T>(promise: Promise<T>): Promise<T> {
    if (!this.#up) {
      promise.catch(() => undefined);
      throw this.#unavailable();
    }
    return await new Promise<T>((resolve, reject) => {
      const lost = (): void => reject(this.#unavailable());
      this.#lost.push(lost);
      const forget = (): void => {
        const at = this.#lost.indexOf(lost);
        if (at >= 0) this.#lost.splice(at, 1);
      };
      promise.then(resolve, reject).finally(forget);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#down();
    for (const found of this.#found.splice(0)) found();
    // While it has never been connected there is nothing to close, and connecting cannot be stopped; it closes when it comes.
    if (this.#connection === undefined) return;
    await this.#opening;
    await this.#connection.close();
  }

  async #open(options: NodeConnectionOptions): Promise<void> {
    while (!this.#closed) {
      try {
        const connection = await connect(options);
        if (this.#closed) return await connection.close();
        this.#connection = connection;
        void this.#watch(connection);
        return this.#setUp();
      } catch (error) {
        // Nobody there, or wrong credentials: both may be put right while we wait.
        this.#error = error;
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS).unref());
      }
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === "reconnect") this.#setUp();
      if (status.type === "disconnect" || status.type === "staleConnection" || status.type === "close") this.#down();
      if (status.type === "error") this.#error = status.error;
    }
    this.#down();
  }

  #setUp(): void {
    this.#up = true;
    for (const found of this.#found.splice(0)) found();
  }

  #down(): void {
    this.#up = false;
    for (const lost of this.#lost.splice(0)) lost();
  }

  #unavailable(): BusUnavailableError {
    return new BusUnavailableError(
      this.#closed ? "the bus is closed" : "NATS cannot be reached",
      this.#error === undefined ? undefined : { cause: this.#error },
    );
  }
}

/** The library does not read credentials from a URL. */
function connectionOptions(url: string): NodeConnectionOptions {
  const urls = url.split(",").map((text) => new URL(text.includes("://") ? text.trim() : `nats://${text.trim()}`));
  const { username = "", password = "", protocol = "" } = urls[0] ?? {};
  const user = decodeURIComponent(username);
  const credentials = password === "" ? { token: user } : { user, pass: decodeURIComponent(password) };
  return {
    servers: urls.map(({ host }) => host),
    ...(user === "" ? {} : credentials),
    ...(protocol === "tls:" ? { tls: {} } : {}),
    name: "weir",
    maxReconnectAttempts: -1,
    timeout: CONNECT_MS,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
  };
}
