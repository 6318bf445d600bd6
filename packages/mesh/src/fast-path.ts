import { type Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, endStreamToJson, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { headerLine, type HttpReply, type HttpRequest, type RequestHead } from "@weir/http1";
import { CallContext, type HeaderSource } from "./call-context.ts";
import { type Codec, compileCodec } from "./codec.ts";
import { envelope, FLAG_END, openSingle } from "./envelope.ts";
import { cancelled } from "./rpc-errors.ts";
import type { ServedMethod, ServedStream } from "./served.ts";
import type { DescMessage } from "@bufbuild/protobuf";

/** A method as the fast path serves it. */
export interface FastMethod {
  readonly served: ServedMethod;
  readonly contentType: string;
  readonly input: Codec<DescMessage>;
  readonly output: Codec<DescMessage>;
  /** Asked before the message is read. Undefined: everybody may. */
  readonly authorize: ((request: RequestHead) => ConnectError | undefined) | undefined;
}

export function fastMethod(served: ServedMethod, authorize: FastMethod["authorize"]): FastMethod {
  return {
    served,
    contentType: served.kind === "unary" ? "application/proto" : "application/connect+proto",
    input: compileCodec(served.desc.input),
    output: compileCodec(served.desc.output),
    authorize,
  };
}

/** Whether a request is one of those that this path speaks: Connect, binary, not compressed. */
export function isFast(method: FastMethod, head: RequestHead): boolean {
  if (head.method !== "POST" || head.header("content-type") !== method.contentType) return false;
  const encoding = head.header(method.served.kind === "unary" ? "content-encoding" : "connect-content-encoding");
  return encoding === undefined || encoding === "identity";
}

class RequestHeaders implements HeaderSource {
  private readonly head: RequestHead;

  constructor(head: RequestHead) {
    this.head = head;
  }

  get(lower: string): string | null {
    return this.head.header(lower) ?? null;
  }

  all(): Headers {
    const headers = new Headers();
    for (const line of this.head.headerLines) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    return headers;
  }
}

export function serveFast(method: FastMethod, request: HttpRequest, reply: HttpReply): void {
  if (method.served.kind === "unary") new UnaryCall(method, request, reply).start();
  else new StreamCall(method, request, reply).start();
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Of `connect-timeout-ms`; more than a timer can hold is none. @throws ConnectError invalid_argument */
function timeoutOf(request: RequestHead): number | undefined {
  const value = request.header("connect-timeout-ms");
  if (value === undefined) return undefined;
  if (!/^\d{1,10}$/.test(value)) throw new ConnectError("malformed connect-timeout-ms", Code.InvalidArgument);
  const timeoutMs = Number(value);
  return timeoutMs > MAX_TIMEOUT_MS ? undefined : timeoutMs;
}

function decode(codec: Codec<DescMessage>, bytes: Uint8Array): Message {
  try {
    return codec.decode(bytes);
  } catch (error) {
    throw new ConnectError(
      "the request is not the message it should be",
      Code.InvalidArgument,
      undefined,
      undefined,
      error,
    );
  }
}

function render(headers: Headers | undefined, prefix: string): string {
  let lines = "";
  headers?.forEach((value, name) => {
    lines += headerLine(prefix + name, value);
  });
  return lines;
}

abstract class FastCall {
  protected readonly method: FastMethod;
  protected readonly request: HttpRequest;
  protected readonly reply: HttpReply;
  protected context: CallContext;
  protected over = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(method: FastMethod, request: HttpRequest, reply: HttpReply) {
    this.method = method;
    this.request = request;
    this.reply = reply;
    this.context = new CallContext(method.served.desc, new RequestHeaders(request), undefined, request.remoteAddress);
  }

  start(): void {
    try {
      const timeoutMs = timeoutOf(this.request);
      if (timeoutMs !== undefined) {
        this.context = new CallContext(
          this.method.served.desc,
          new RequestHeaders(this.request),
          timeoutMs,
          this.request.remoteAddress,
        );
        this.timer = setTimeout(this.onTimeout, timeoutMs);
      }
      this.reply.onClose(this.onGone);
      this.run();
    } catch (error) {
      this.fail(ConnectError.from(error, Code.Internal));
    }
  }

  protected abstract run(): void;
  /** Writes the error out; the call is over. */
  protected abstract refuse(error: ConnectError): void;
  protected abstract abandon(error: ConnectError): void;

  private readonly onTimeout = (): void => {
    const error = new ConnectError("the operation timed out", Code.DeadlineExceeded);
    this.context.abort(error);
    this.abandon(error);
    this.fail(error);
  };

  private readonly onGone = (): void => {
    if (this.over) return;
    const error = cancelled();
    this.finish(error);
    this.abandon(error);
  };

  protected readonly fail = (error: ConnectError): void => {
    if (this.over) return;
    this.refuse(error);
    this.finish(error);
  };

  protected finish(reason: unknown): void {
    this.over = true;
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.context.abort(reason);
  }
}

class UnaryCall extends FastCall {
  protected run(): void {
    const { served, input } = this.method;
    if (served.kind !== "unary") return;
    served.call(decode(input, this.request.body), this.context).then(this.answer, this.fail);
  }

  private readonly answer = (message: Message): void => {
    if (this.over) return;
    let body: Uint8Array;
    let headers: string;
    try {
      body = this.method.output.encode(message);
      headers = `content-type: application/proto\r\n${this.metadata()}`;
    } catch (error) {
      this.fail(new ConnectError("internal error", Code.Internal, undefined, undefined, error));
      return;
    }
    this.finish(undefined);
    this.reply.send(200, headers, body);
  };

  private metadata(): string {
    const { sentHeader, sentTrailer } = this.context;
    if (sentHeader === undefined && sentTrailer === undefined) return "";
    return render(sentHeader, "") + render(sentTrailer, "trailer-");
  }

  protected refuse(error: ConnectError): void {
    const metadata = this.metadata() + (error.isWireError ? "" : render(error.metadata, ""));
    const body = errorToJsonBytes(error, undefined);
    this.reply.send(codeToHttpStatus(error.code), `content-type: application/json\r\n${metadata}`, body);
  }

  protected abandon(): void {
    // Its signal has fired; there is nothing else to stop.
  }
}

const END_OF_STREAM = envelope(FLAG_END, Buffer.from("{}"));

class StreamCall extends FastCall {
  private stream: ServedStream | undefined;
  private started = false;

  protected run(): void {
    const { served, input } = this.method;
    if (served.kind !== "stream") return;
    this.stream = served.open(decode(input, openSingle(this.request.body)), this.context);
    this.play(this.stream).catch((error: unknown) => this.fail(ConnectError.from(error, Code.Internal)));
  }

  private async play(stream: ServedStream): Promise<void> {
    const { output } = this.method;
    for (;;) {
      const message = await stream.next();
      if (this.over) return;
      if (message === undefined) break;
      this.begin();
      if (!this.reply.write(envelope(0, output.encode(message)))) await this.reply.drained();
      if (this.over) return;
    }
    this.begin();
    this.finish(undefined);
    const { sentTrailer } = this.context;
    this.reply.end(sentTrailer === undefined ? END_OF_STREAM : endOf(sentTrailer, undefined));
  }

  private begin(): void {
    if (this.started) return;
    this.started = true;
    this.reply.start(200, `content-type: application/connect+proto\r\n${render(this.context.sentHeader, "")}`);
  }

  protected refuse(error: ConnectError): void {
    this.begin();
    this.reply.end(endOf(this.context.responseTrailer, error));
  }

  protected abandon(error: ConnectError): void {
    this.stream?.cancel(error);
  }
}

const endOf = (trailer: Headers, error: ConnectError | undefined): Buffer =>
  envelope(FLAG_END, Buffer.from(JSON.stringify(endStreamToJson(trailer, error, undefined))));
