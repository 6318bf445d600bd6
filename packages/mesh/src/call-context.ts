import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";

/** Where a call's headers come from: nothing is made of them until somebody asks. */
export interface HeaderSource {
  /** By name in lower case. */
  get(lower: string): string | null;
  all(): Headers;
}

/** One for all: without a reason an AbortController makes a DOMException, which takes longer than the rest of a call in process. */
const OVER = new ConnectError("the call is over", Code.Canceled);

/** The HandlerContext of a call that came over our own transport, or in process. Everything that costs is made when it is asked for. */
export class CallContext implements HandlerContext {
  readonly method: DescMethod;
  readonly requestMethod = "POST";
  readonly protocolName = "connect";
  /** Whose connection it came by; "": it came by none. */
  readonly peerAddress: string;
  readonly #source: HeaderSource;
  readonly #deadlineMs: number;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;
  #controller: AbortController | undefined;
  #ended = false;
  #reason: unknown;

  /** @param timeoutMs undefined: none */
  constructor(method: DescMethod, source: HeaderSource, timeoutMs: number | undefined, peerAddress = "") {
    this.method = method;
    this.peerAddress = peerAddress;
    this.#source = source;
    this.#deadlineMs = timeoutMs === undefined ? 0 : performance.now() + timeoutMs;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get url(): string {
    return `http://in-process/${this.method.parent.typeName}/${this.method.name}`;
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= this.#source.all();
    return this.#requestHeader;
  }

  /** One header, without making a Headers of them. */
  header(lower: string): string | null {
    return this.#source.get(lower);
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** What was set, without making what was not. */
  get sentHeader(): Headers | undefined {
    return this.#responseHeader;
  }

  get sentTrailer(): Headers | undefined {
    return this.#responseTrailer;
  }

  get values(): ContextValues {
    this.#values ??= createContextValues();
    return this.#values;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  readonly timeoutMs = (): number | undefined =>
    this.#deadlineMs === 0 ? undefined : this.#deadlineMs - performance.now();

  /** Fires the signal: the call failed, was cancelled, ran out of time, or, without a reason, is over. */
  abort(reason: unknown = OVER): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
