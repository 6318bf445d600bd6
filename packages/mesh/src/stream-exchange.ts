import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import type { Exchange, HttpClientError, ResponseHeaders, ResponseSink } from "@weir/http1";
import { CallLimit } from "./call-limit.ts";
import { envelope, EnvelopeReader, FLAG_COMPRESSED, FLAG_END } from "./envelope.ts";
import type { MethodPlan } from "./method-plan.ts";
import type { CallSettings, Requester } from "./network.ts";
import { cancelled, fromErrorBody, fromExchange, headersOf } from "./rpc-errors.ts";

/** Above this many bytes of messages that nobody has taken, the connection is read no further; below half of it, it is again. */
const HIGH_WATER_BYTES = 262_144;

const COMPACT_AT = 256;

type Step = IteratorResult<Message, undefined>;

interface Waiter {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

/** One call that is answered by a stream. Sent at once; its messages are taken by iteration, once. */
export class StreamExchange implements ResponseSink, AsyncIterable<Message>, AsyncIterator<Message, undefined> {
  private readonly plan: MethodPlan;
  private readonly options: CallOptions | undefined;
  private readonly limit: CallLimit | undefined;
  private readonly reader: EnvelopeReader;
  private readonly maxBytes: number;
  private exchange: Exchange | undefined;
  private status = 0;
  private headers: ResponseHeaders | undefined;
  private errorBody: Buffer[] = [];
  private errorBytes = 0;
  /** Encoded messages that wait to be taken, from `taken` on. */
  private queue: Buffer[] = [];
  private taken = 0;
  private queuedBytes = 0;
  private paused = false;
  private waiter: Waiter | undefined;
  private ended = false;
  /** The end-of-stream envelope has come. */
  private closed = false;
  private failure: ConnectError | undefined;
  private trailer: Headers | undefined;

  constructor(
    http: Requester,
    plan: MethodPlan,
    settings: CallSettings,
    input: MessageInitShape<DescMessage>,
    options: CallOptions | undefined,
  ) {
    this.plan = plan;
    this.options = options;
    this.maxBytes = settings.maxMessageBytes;
    this.reader = new EnvelopeReader(settings.maxMessageBytes, this.onEnvelope);
    this.limit = CallLimit.of(options, (error) => this.fail(error));
    if (this.ended) return;
    try {
      this.start(http, settings.connectMs, input);
    } catch (error) {
      this.settle(ConnectError.from(error, Code.InvalidArgument));
    }
  }

  private start(http: Requester, connectMs: number, input: MessageInitShape<DescMessage>): void {
    const { path, retryStale } = this.plan;
    const body = envelope(0, this.plan.encode(input));
    const headers = this.plan.headersFor(this.options);
    this.exchange = http.request(
      { method: "POST", path, headers, body, connectMs, firstByteMs: 0, idleMs: 0, retryStale },
      this,
    );
  }

  // ---- for the reader of the stream

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return this;
  }

  next(): Promise<Step> {
    const bytes = this.queue[this.taken];
    if (bytes === undefined) {
      if (this.ended) return this.last();
      return new Promise((resolve, reject) => {
        this.waiter = { resolve, reject };
      });
    }
    this.taken++;
    if (this.taken === this.queue.length || this.taken === COMPACT_AT) {
      this.queue.splice(0, this.taken);
      this.taken = 0;
    }
    this.queuedBytes -= bytes.length;
    if (this.paused && this.queuedBytes < HIGH_WATER_BYTES / 2) {
      this.paused = false;
      this.exchange?.resume();
    }
    return this.decoded(bytes);
  }

  /** Takes no more: the call is cancelled. */
  async return(): Promise<Step> {
    if (!this.ended) this.fail(cancelled());
    this.queue = [];
    this.taken = 0;
    this.failure = undefined;
    return { done: true, value: undefined };
  }

  private decoded(bytes: Buffer): Promise<Step> {
    try {
      return Promise.resolve({ done: false, value: this.plan.decode(bytes) });
    } catch (error) {
      const failure = ConnectError.from(error, Code.Internal);
      this.queue = [];
      this.taken = 0;
      if (!this.ended) this.fail(failure);
      this.failure = undefined;
      return Promise.reject(failure);
    }
  }

  private last(): Promise<Step> {
    const { failure } = this;
    // An iterator fails once.
    this.failure = undefined;
    if (failure !== undefined) return Promise.reject(failure);
    const { trailer } = this;
    this.trailer = undefined;
    if (trailer !== undefined) this.options?.onTrailer?.(trailer);
    return Promise.resolve({ done: true, value: undefined });
  }

  // ---- for the connection

  head(status: number, headers: ResponseHeaders): void {
    this.status = status;
    this.headers = headers;
    if (status !== 200) return;
    const type = headers.get("content-type");
    if (type !== "application/connect+proto") {
      this.fail(
        new ConnectError(`the answer is not application/connect+proto but ${type ?? "untyped"}`, Code.Internal),
      );
      return;
    }
    this.options?.onHeader?.(headersOf(headers));
  }

  data(chunk: Buffer): void {
    if (this.status !== 200) {
      this.errorBytes += chunk.length;
      if (this.errorBytes <= this.maxBytes) this.errorBody.push(chunk);
      return;
    }
    try {
      this.reader.feed(chunk);
    } catch (error) {
      this.fail(ConnectError.from(error, Code.Internal));
    }
  }

  private readonly onEnvelope = (flags: number, payload: Buffer): void => {
    if (this.closed || (flags & FLAG_COMPRESSED) !== 0) throw new ConnectError("a malformed stream", Code.Internal);
    if ((flags & FLAG_END) !== 0) {
      this.closed = true;
      // The usual end says nothing: it is not worth a parser, a Headers and an error prepared for the worst.
      if (payload.length === 2 && payload[0] === 0x7b && payload[1] === 0x7d) {
        if (this.options?.onTrailer !== undefined) this.trailer = new Headers();
        return;
      }
      const end = endStreamFromJson(payload);
      this.trailer = end.metadata;
      this.failure = end.error;
      return;
    }
    const { waiter } = this;
    if (waiter !== undefined) {
      this.waiter = undefined;
      this.decoded(payload).then(waiter.resolve, waiter.reject);
      return;
    }
    this.queue.push(payload);
    this.queuedBytes += payload.length;
    if (this.queuedBytes > HIGH_WATER_BYTES && !this.paused) {
      this.paused = true;
      this.exchange?.pause();
    }
  };

  end(): void {
    if (this.ended) return;
    if (this.status !== 200 && this.headers !== undefined) {
      this.settle(fromErrorBody(this.status, this.headers, Buffer.concat(this.errorBody)));
    } else if (!this.closed) {
      this.settle(new ConnectError("the stream ended without its end", Code.Unavailable));
    } else {
      this.settle(this.failure);
    }
  }

  error(error: HttpClientError): void {
    if (!this.ended) this.settle(fromExchange(error));
  }

  private fail(error: ConnectError): void {
    if (this.ended) return;
    this.settle(error);
    this.exchange?.cancel();
  }

  private settle(failure: ConnectError | undefined): void {
    this.ended = true;
    this.limit?.release();
    this.failure = failure;
    const { waiter } = this;
    if (waiter === undefined) return;
    this.waiter = undefined;
    this.last().then(waiter.resolve, waiter.reject);
  }
}
