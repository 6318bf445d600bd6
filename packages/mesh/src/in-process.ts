import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  isMessage,
  type Message,
} from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import { CallContext } from "./call-context.ts";
import { OwnHeaders } from "./call-headers.ts";
import { CallLimit, timeoutOf } from "./call-limit.ts";
import { clientOf } from "./client-of.ts";
import type { Hooks } from "./hooks.ts";
import { type ServedMethod, servedMethods, type ServedStream } from "./served.ts";
import type { Peers, Route } from "./service.ts";

type Init = MessageInitShape<DescMessage>;

/**
 * Clients that call the implementations directly: the same errors, deadlines, cancellation, headers and hooks as over the network, without
 * bytes. A message is passed as it is, so whoever gets one must not change it. `routes` may grow: a method is looked up when it is first
 * called, and is `unimplemented` until it is there.
 */
export function inProcessPeers(routes: readonly Route[], hooks?: Hooks): Peers {
  const traced = hooks?.tracer !== undefined;
  const found = new Map<DescMethod, ServedMethod>();
  const find = (desc: DescMethod): ServedMethod => {
    let served = found.get(desc);
    if (served !== undefined) return served;
    const own = routes.filter((route) => route.service.typeName === desc.parent.typeName);
    served = servedMethods(own, { hooks }).find((method) => method.desc.name === desc.name);
    if (served === undefined)
      throw new ConnectError(`${desc.toString()} is not served in this process`, Code.Unimplemented);
    found.set(desc, served);
    return served;
  };
  return {
    client<S extends DescService>(service: S): Client<S> {
      return clientOf(service, {
        unary: (desc) => (input, options) => callUnary(find, desc, input, options, traced),
        stream: (desc) => (input, options) => new InProcessStream(find, desc, input, options, traced),
      });
    },
  };
}

const requestOf = (desc: DescMethod, input: Init): Message =>
  isMessage(input, desc.input) ? input : create(desc.input, input);

async function callUnary(
  find: (desc: DescMethod) => ServedMethod,
  desc: DescMethod,
  input: Init,
  options: CallOptions | undefined,
  traced: boolean,
): Promise<Message> {
  const served = find(desc);
  if (served.kind !== "unary") throw new TypeError("a stream");
  const context = new CallContext(desc, new OwnHeaders(options?.headers, traced), timeoutOf(options));
  const request = requestOf(desc, input);
  try {
    const message = await (options?.signal === undefined && timeoutOf(options) === undefined
      ? served.call(request, context)
      : callLimited(() => served.call(request, context), context, options));
    context.abort();
    if (options?.onHeader !== undefined) options.onHeader(context.responseHeader);
    if (options?.onTrailer !== undefined) options.onTrailer(context.responseTrailer);
    return message;
  } catch (error) {
    context.abort(error);
    throw error;
  }
}

/** The caller gets its answer at the deadline, whether or not the implementation looks at its signal. */
function callLimited(
  call: () => Promise<Message>,
  context: CallContext,
  options: CallOptions | undefined,
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const limit = CallLimit.of(options, (error) => {
      context.abort(error);
      reject(error);
    });
    if (limit?.error !== undefined) return;
    call()
      .then(resolve, reject)
      .finally(() => limit?.release());
  });
}

/** The client's side of an in-process stream. The implementation is called at once and goes on as its messages are taken. */
class InProcessStream implements AsyncIterable<Message>, AsyncIterator<Message> {
  private readonly context: CallContext;
  private readonly options: CallOptions | undefined;
  private readonly limit: CallLimit | undefined;
  private stream: ServedStream | undefined;
  private failure: ConnectError | undefined;
  private over = false;
  private headerTold = false;
  /** Ends the wait of `next` when the limit strikes or the caller leaves. */
  private interrupt: ((error: ConnectError) => void) | undefined;

  constructor(
    find: (desc: DescMethod) => ServedMethod,
    desc: DescMethod,
    input: Init,
    options: CallOptions | undefined,
    traced: boolean,
  ) {
    this.options = options;
    this.context = new CallContext(desc, new OwnHeaders(options?.headers, traced), timeoutOf(options));
    this.limit = CallLimit.of(options, (error) => this.stop(error));
    if (this.failure !== undefined) return;
    try {
      const served = find(desc);
      if (served.kind !== "stream") throw new TypeError("not a stream");
      this.stream = served.open(requestOf(desc, input), this.context);
    } catch (error) {
      this.failure = ConnectError.from(error, Code.Internal);
      this.limit?.release();
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this;
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    if (this.over) return { done: true, value: undefined };
    try {
      if (this.failure !== undefined) throw this.failure;
      const message = await this.pull();
      if (!this.headerTold) {
        this.headerTold = true;
        this.options?.onHeader?.(this.context.responseHeader);
      }
      if (message !== undefined) return { done: false, value: message };
    } catch (error) {
      this.finish(error);
      throw error;
    }
    this.finish(undefined);
    this.options?.onTrailer?.(this.context.responseTrailer);
    return { done: true, value: undefined };
  }

  private pull(): Promise<Message | undefined> {
    const { stream } = this;
    if (stream === undefined) throw new TypeError("no stream");
    // Nothing can end the wait from outside but this iterator's own user: for-await does not while it waits.
    if (this.limit === undefined) return stream.next();
    return new Promise((resolve, reject) => {
      this.interrupt = reject;
      stream.next().then(resolve, reject);
    });
  }

  /** The caller takes no more: the implementation's signal fires and its generator is returned. */
  async return(): Promise<IteratorResult<Message, undefined>> {
    if (!this.over) this.stop(new ConnectError("the call was cancelled", Code.Canceled));
    this.over = true;
    return { done: true, value: undefined };
  }

  private stop(error: ConnectError): void {
    this.failure ??= error;
    this.limit?.release();
    this.context.abort(error);
    this.stream?.cancel(error);
    this.interrupt?.(error);
  }

  private finish(reason: unknown): void {
    this.over = true;
    this.limit?.release();
    this.context.abort(reason);
  }
}
