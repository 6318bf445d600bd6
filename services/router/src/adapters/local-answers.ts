import type { AnswerSink, Exchange, ProviderRequest, Transport, TransportFailure } from "../ports.ts";

type LocalAnswer =
  | { readonly status: number; readonly body: string }
  | { readonly status: 200; readonly events: readonly string[] };

/** A provider that answers in this process, in the shape of one that is far away: an event a turn of the event loop. */
export function localAnswers(answer: (request: ProviderRequest) => LocalAnswer): Transport {
  return {
    send(request: ProviderRequest, sink: AnswerSink): Exchange {
      const exchange = new LocalExchange(request.signal, sink);
      setImmediate(() => exchange.begin(() => answer(request)));
      return exchange;
    },
    async [Symbol.asyncDispose]() {},
  };
}

const headersOf = (contentType: string) => ({
  get: (name: string) => (name === "content-type" ? contentType : undefined),
});

class LocalExchange implements Exchange {
  readonly #signal: AbortSignal;
  readonly #sink: AnswerSink;
  #events: readonly string[] = [];
  #next = 0;
  #paused = false;
  #over = false;

  constructor(signal: AbortSignal, sink: AnswerSink) {
    this.#signal = signal;
    this.#sink = sink;
    signal.addEventListener("abort", this.cancel, { once: true });
    if (signal.aborted) this.cancel();
  }

  begin(make: () => LocalAnswer): void {
    if (this.#over) return;
    const answer = make();
    if ("events" in answer) {
      this.#sink.head(answer.status, headersOf("text/event-stream"));
      this.#events = answer.events;
      this.#step();
      return;
    }
    this.#sink.head(answer.status, headersOf("application/json"));
    this.#sink.data(Buffer.from(answer.body));
    this.#finish();
    this.#sink.end();
  }

  cancel = (): void => {
    if (this.#over) return;
    this.#finish();
    const failure: TransportFailure = { kind: "cancelled", sent: true };
    this.#sink.error(failure);
  };

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    setImmediate(() => this.#step());
  }

  #step(): void {
    if (this.#over || this.#paused) return;
    const event = this.#events[this.#next];
    this.#next += 1;
    if (event === undefined) {
      this.#finish();
      this.#sink.end();
      return;
    }
    this.#sink.data(Buffer.from(event));
    setImmediate(() => this.#step());
  }

  #finish(): void {
    this.#over = true;
    this.#signal.removeEventListener("abort", this.cancel);
  }
}
