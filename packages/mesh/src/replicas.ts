import {
  type ClientRequest,
  type Exchange,
  type HttpClient,
  type HttpClientError,
  type ResponseHeaders,
  type ResponseSink,
} from "@weir/http1";
import type { Requester } from "./network.ts";
import { Pulse } from "./pulse.ts";

/**
 * Several replicas of one service as one client. Each is asked for /readyz every second: those that are ready come first, then those that
 * say they are not, then those that do not answer; among equals the one with the fewest calls under way. A call whose replica cannot be
 * reached goes to another. A call that may have arrived goes to another only if it may be done twice (`retryStale`), once its connection
 * broke or its replica was found to be silent; never after the first byte of an answer.
 */

/** The better, the smaller. */
const READY = 0;
const UNREADY = 1;
const SILENT = 2;

/** @param maxConnections undefined: as many as calls may have */
type MakeClient = (address: string, maxConnections?: number) => HttpClient;

export class Replicas implements Requester {
  readonly #replicas: readonly Replica[];
  #turn = 0;

  /** @param addresses two or more */
  constructor(addresses: readonly string[], make: MakeClient) {
    this.#replicas = addresses.map((address) => new Replica(make(address), make(address, 1)));
  }

  request(request: ClientRequest, sink: ResponseSink): Exchange {
    return new ReplicatedExchange(this, request, sink);
  }

  /** @param tried not again; undefined: all have been tried */
  pick(tried: readonly Replica[]): Replica | undefined {
    const count = this.#replicas.length;
    let best: Replica | undefined;
    this.#turn = (this.#turn + 1) % count;
    for (let index = 0; index < count; index++) {
      const replica = this.#replicas[(this.#turn + index) % count] as Replica;
      if (tried.includes(replica)) continue;
      if (best === undefined || replica.isBetterThan(best)) best = replica;
    }
    return best;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#replicas.flatMap(({ http, pulse }) => [pulse, http]);
    await Promise.all(open.map((one) => one[Symbol.asyncDispose]()));
  }
}

class Replica {
  readonly http: HttpClient;
  /** Calls without an answer yet, and those whose answer still comes. */
  readonly calls = new Set<ReplicatedExchange>();
  readonly pulse: Pulse;
  #state = READY;

  constructor(http: HttpClient, probe: HttpClient) {
    this.http = http;
    this.pulse = new Pulse(http, probe, {
      answered: (ready) => {
        this.#state = ready ? READY : UNREADY;
      },
      silent: () => {
        this.lost();
        for (const call of this.calls) call.leave();
      },
    });
  }

  isBetterThan(other: Replica): boolean {
    return this.#state === other.#state ? this.calls.size < other.calls.size : this.#state < other.#state;
  }

  /** It could not be reached: the next probe that it answers brings it back. */
  lost(): void {
    this.#state = SILENT;
  }
}

/** One call, over one replica after another. */
class ReplicatedExchange implements Exchange {
  readonly request: ClientRequest;
  readonly sink: ResponseSink;
  answered = false;
  readonly #replicas: Replicas;
  readonly #tried: Replica[] = [];
  #attempt: Attempt | undefined;
  #exchange: Exchange | undefined;

  constructor(replicas: Replicas, request: ClientRequest, sink: ResponseSink) {
    this.#replicas = replicas;
    this.request = request;
    this.sink = sink;
    this.#begin(replicas.pick(this.#tried) as Replica);
  }

  /** Sends it to another replica. False: there is none that was not tried. */
  retry(): boolean {
    const replica = this.#replicas.pick(this.#tried);
    if (replica === undefined) return false;
    this.#attempt?.over();
    this.#begin(replica);
    return true;
  }

  #begin(replica: Replica): void {
    this.#tried.push(replica);
    const attempt = new Attempt(this, replica);
    this.#attempt = attempt;
    this.#exchange = undefined;
    const exchange = replica.http.request(this.request, attempt);
    // It may have failed at once, and another may be under way.
    if (this.#attempt === attempt) this.#exchange = exchange;
    else exchange.cancel();
  }

  isCurrent(attempt: Attempt): boolean {
    return this.#attempt === attempt;
  }

  /** Its replica was found to be silent. */
  leave(): void {
    if (this.answered || this.request.retryStale !== true) return;
    const exchange = this.#exchange;
    if (this.retry()) exchange?.cancel();
  }

  cancel(): void {
    this.#exchange?.cancel();
  }

  pause(): void {
    this.#exchange?.pause();
  }

  resume(): void {
    this.#exchange?.resume();
  }
}

/** What one replica answers; of no interest any more once another one was asked. */
class Attempt implements ResponseSink {
  readonly #call: ReplicatedExchange;
  readonly #replica: Replica;

  constructor(call: ReplicatedExchange, replica: Replica) {
    this.#call = call;
    this.#replica = replica;
    replica.calls.add(call);
  }

  over(): void {
    this.#replica.calls.delete(this.#call);
  }

  head(status: number, headers: ResponseHeaders): void {
    if (!this.#call.isCurrent(this)) return;
    this.#call.answered = true;
    this.#call.sink.head(status, headers);
  }

  data(chunk: Buffer): void {
    if (this.#call.isCurrent(this)) this.#call.sink.data(chunk);
  }

  end(): void {
    this.over();
    if (this.#call.isCurrent(this)) this.#call.sink.end();
  }

  error(error: HttpClientError): void {
    this.over();
    if (!this.#call.isCurrent(this)) return;
    if (error.kind === "connect" || error.kind === "timeout-connect") this.#replica.lost();
    if (this.#mayRepeat(error) && this.#call.retry()) return;
    this.#call.sink.error(error);
  }

  #mayRepeat(error: HttpClientError): boolean {
    if (error.kind === "cancelled" || this.#call.answered) return false;
    return !error.sent || (error.kind === "reset" && this.#call.request.retryStale === true);
  }
}
