import { createHttpClient, type HttpClientOptions } from "@weir/http1";
import type { AnswerSink, Exchange, ProviderRequest, Transport, TransportFailure } from "../ports.ts";

export interface ProviderHttpOptions {
  readonly maxConnections: number;
  readonly timeouts: { readonly connectMs: number; readonly firstByteMs: number; readonly idleMs: number };
  /** For providers with a certificate of an authority of one's own. */
  readonly tls?: HttpClientOptions["tls"];
}

export interface BaseUrl {
  readonly origin: string;
  /** Without a trailing slash; "" at the root. */
  readonly path: string;
  /** "" or "?…". */
  readonly query: string;
}

/** @throws Error for what is no URL of a provider: it must be http(s) and hold no credential */
export function parseBaseUrl(text: string): BaseUrl {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new Error("base_url is no URL", { cause });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new Error("base_url must begin with http:// or https://");
  if (url.username !== "" || url.password !== "") throw new Error("base_url must hold no credential: use api_key");
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, ""), query: url.search };
}

/** Joins a base URL and what lies below it: each may have a query. */
export function joinPath(base: BaseUrl, below: string): string {
  const mark = below.indexOf("?");
  const path = base.path + (mark === -1 ? below : below.slice(0, mark));
  const query = mark === -1 ? "" : below.slice(mark + 1);
  if (query === "") return path + base.query;
  return base.query.length > 1 ? `${path}${base.query}&${query}` : `${path}?${query}`;
}

/** A provider over HTTP/1.1: one pool of connections to one origin. Redirects are not followed. */
export function providerHttp(base: BaseUrl, options: ProviderHttpOptions): Transport {
  const { maxConnections, timeouts, tls } = options;
  const client = createHttpClient(base.origin, tls === undefined ? { maxConnections } : { maxConnections, tls });
  return {
    send(request: ProviderRequest, sink: AnswerSink): Exchange {
      const { path, headers, body, signal, deadlineMs } = request;
      const wire = { method: "POST", path, headers, body, signal, ...timeouts };
      if (deadlineMs === undefined) return client.request(wire, sink);
      const timed = new TimedSink(sink);
      const exchange = client.request(wire, timed);
      timed.startTimer(exchange, deadlineMs);
      return exchange;
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Ends an exchange when the call's time is over, and says so. */
class TimedSink implements AnswerSink {
  readonly #sink: AnswerSink;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #late = false;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  startTimer(exchange: Exchange, ms: number): void {
    if (this.#over) return;
    this.#timer = setTimeout(() => {
      this.#late = true;
      exchange.cancel();
    }, ms);
  }

  head: AnswerSink["head"] = (status, headers) => this.#sink.head(status, headers);
  data: AnswerSink["data"] = (chunk) => this.#sink.data(chunk);

  end(): void {
    this.#stop();
    this.#sink.end();
  }

  error(failure: TransportFailure): void {
    this.#stop();
    this.#sink.error(this.#late ? { kind: "deadline", sent: failure.sent } : failure);
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }
}
