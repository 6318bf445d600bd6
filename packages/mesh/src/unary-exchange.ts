import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { trailerDemux } from "@connectrpc/connect/protocol-connect";
import type { Exchange, HttpClientError, ResponseHeaders, ResponseSink } from "@weir/http1";
import { CallLimit } from "./call-limit.ts";
import type { CallSettings, Requester } from "./network.ts";
import type { MethodPlan } from "./method-plan.ts";
import { fromErrorBody, fromExchange, headersOf } from "./rpc-errors.ts";

const EMPTY = Buffer.alloc(0);

/** One unary call over the wire. */
export function callUnary(
  http: Requester,
  plan: MethodPlan,
  settings: CallSettings,
  input: MessageInitShape<DescMessage>,
  options: CallOptions | undefined,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const body = plan.encode(input);
    const headers = plan.headersFor(options);
    new UnaryExchange(plan, settings, options, resolve, reject).start(http, headers, body);
  });
}

class UnaryExchange implements ResponseSink {
  private readonly plan: MethodPlan;
  private readonly maxBytes: number;
  private readonly connectMs: number;
  private readonly options: CallOptions | undefined;
  private readonly resolve: (message: Message) => void;
  private readonly reject: (error: unknown) => void;
  private readonly limit: CallLimit | undefined;
  private exchange: Exchange | undefined;
  private over = false;
  private status = 0;
  private headers: ResponseHeaders | undefined;
  private body: Buffer = EMPTY;
  private parts: Buffer[] | undefined;
  private bytes = 0;

  constructor(
    plan: MethodPlan,
    settings: CallSettings,
    options: CallOptions | undefined,
    resolve: (message: Message) => void,
    reject: (error: unknown) => void,
  ) {
    this.plan = plan;
    this.maxBytes = settings.maxMessageBytes;
    this.connectMs = settings.connectMs;
    this.options = options;
    this.resolve = resolve;
    this.reject = reject;
    this.limit = CallLimit.of(options, (error) => this.fail(error));
  }

  start(http: Requester, headers: string, body: Uint8Array): void {
    if (this.over) return;
    const { connectMs } = this;
    const { path, retryStale } = this.plan;
    this.exchange = http.request(
      { method: "POST", path, headers, body, connectMs, firstByteMs: 0, idleMs: 0, retryStale },
      this,
    );
  }

  head(status: number, headers: ResponseHeaders): void {
    this.status = status;
    this.headers = headers;
  }

  data(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) {
      this.fail(new ConnectError(`the answer is larger than ${this.maxBytes} bytes`, Code.ResourceExhausted));
    } else if (this.body.length === 0) {
      this.body = chunk;
    } else {
      this.parts ??= [this.body];
      this.parts.push(chunk);
    }
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.limit?.release();
    try {
      this.resolve(this.finish());
    } catch (error) {
      this.reject(ConnectError.from(error, Code.Internal));
    }
  }

  error(error: HttpClientError): void {
    if (!this.over) this.fail(fromExchange(error));
  }

  private fail(error: ConnectError): void {
    this.over = true;
    this.limit?.release();
    this.exchange?.cancel();
    this.reject(error);
  }

  private finish(): Message {
    const { headers, options } = this;
    if (headers === undefined) throw new TypeError("an end without a head");
    const body = this.parts === undefined ? this.body : Buffer.concat(this.parts);
    if (this.status !== 200) throw fromErrorBody(this.status, headers, body);
    const type = headers.get("content-type");
    if (type !== "application/proto" || (headers.get("content-encoding") ?? "identity") !== "identity") {
      throw new ConnectError(`the answer is not application/proto but ${type ?? "untyped"}`, Code.Internal);
    }
    const message = this.plan.decode(body);
    if (options?.onHeader !== undefined || options?.onTrailer !== undefined) {
      const [header, trailer] = trailerDemux(headersOf(headers));
      options.onHeader?.(header);
      options.onTrailer?.(trailer);
    }
    return message;
  }
}
