/**
 * Adds to each request what proves who asks. Closed on failure: without a credential nothing is sent; where those who give it out are
 * away, the provider counts as away, and the next candidate is asked.
 */
import { CredentialError } from "@weir/credentials";
import type { AnswerHeaders, AnswerSink, Authorizer, Exchange, ProviderRequest, Transport } from "../ports.ts";

/** @param onFailure told why there is no credential; clients are not */
export function authorizedTransport(
  transport: Transport,
  authorizer: Authorizer,
  onFailure: (error: unknown) => void,
): Transport {
  return {
    send(request: ProviderRequest, sink: AnswerSink): Exchange {
      const watched = new WatchedSink(sink, authorizer);
      let lines: string | Promise<string>;
      try {
        lines = authorizer.headersFor(request);
      } catch (error) {
        lines = Promise.reject(error as Error);
      }
      if (typeof lines === "string") return transport.send(withHeaders(request, lines), watched);
      return new WaitingExchange(transport, request, watched, lines, onFailure);
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

const withHeaders = (request: ProviderRequest, lines: string): ProviderRequest => ({
  ...request,
  headers: request.headers + lines,
});

/** A credential that is refused is not used again. */
class WatchedSink implements AnswerSink {
  readonly #sink: AnswerSink;
  readonly #authorizer: Authorizer;

  constructor(sink: AnswerSink, authorizer: Authorizer) {
    this.#sink = sink;
    this.#authorizer = authorizer;
  }

  head(status: number, headers: AnswerHeaders): void {
    if (status === 401 || status === 403) this.#authorizer.refused(status);
    this.#sink.head(status, headers);
  }

  data: AnswerSink["data"] = (chunk) => this.#sink.data(chunk);
  end: AnswerSink["end"] = () => this.#sink.end();
  error: AnswerSink["error"] = (failure) => this.#sink.error(failure);
}

/** Waits for a credential, then carries the request. */
class WaitingExchange implements Exchange {
  #exchange: Exchange | undefined;
  #over = false;
  #paused = false;
  readonly #sink: AnswerSink;
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(
    transport: Transport,
    request: ProviderRequest,
    sink: AnswerSink,
    lines: Promise<string>,
    onFailure: (error: unknown) => void,
  ) {
    this.#sink = sink;
    this.#signal = request.signal;
    const startedMs = performance.now();
    const { deadlineMs } = request;
    if (deadlineMs !== undefined) this.#timer = setTimeout(() => this.#fail("deadline"), deadlineMs);
    request.signal.addEventListener("abort", this.cancel, { once: true });
    if (request.signal.aborted) queueMicrotask(this.cancel);
    lines.then(
      (ready) => {
        if (this.#over) return;
        this.#release();
        const leftMs = deadlineMs === undefined ? undefined : Math.max(1, deadlineMs - (performance.now() - startedMs));
        this.#exchange = transport.send({ ...withHeaders(request, ready), deadlineMs: leftMs }, sink);
        if (this.#paused) this.#exchange.pause();
      },
      (error: unknown) => {
        onFailure(error);
        this.#fail(error instanceof CredentialError && error.away ? "connect" : "credential");
      },
    );
  }

  cancel = (): void => {
    if (this.#exchange === undefined) this.#fail("cancelled");
    else this.#exchange.cancel();
  };

  pause(): void {
    this.#paused = true;
    this.#exchange?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#exchange?.resume();
  }

  #fail(kind: "cancelled" | "deadline" | "connect" | "credential"): void {
    if (this.#over || this.#exchange !== undefined) return;
    this.#over = true;
    this.#release();
    this.#sink.error({ kind, sent: false });
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.cancel);
  }
}
