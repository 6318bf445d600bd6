import {
  create,
  type DescMessage,
  type DescMethod,
  isMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext } from "@connectrpc/connect";
import { toConnectError } from "./error-codec.ts";
import { type Hooks, type Watch, watchWith, type Watched } from "./hooks.ts";
import type { Route } from "./service.ts";

/** Checks a request against the rules in its contract. @throws ConnectError invalid_argument */
export type Check = (schema: DescMessage, request: Message) => void;

type Init = MessageInitShape<DescMessage>;
type Unary = (request: Message, context: HandlerContext) => Promise<Init> | Init;
type Streaming = (request: Message, context: HandlerContext) => AsyncIterable<Init>;

/** A method with everything that runs around it, chosen once. Both kinds throw ConnectError and nothing else. */
export type ServedMethod =
  | {
      readonly kind: "unary";
      readonly desc: DescMethod;
      readonly call: (request: Message, context: HandlerContext) => Promise<Message>;
    }
  | {
      readonly kind: "stream";
      readonly desc: DescMethod;
      readonly open: (request: Message, context: HandlerContext) => ServedStream;
    };

export interface ServingOptions {
  readonly hooks?: Hooks | undefined;
  readonly check?: ((route: Route) => Check | undefined) | undefined;
}

/** The methods of the routes that are implemented, of the two kinds that Weir has. @throws TypeError for another kind */
export function servedMethods(routes: readonly Route[], options: ServingOptions): ServedMethod[] {
  const watch = watchWith(options.hooks);
  return routes.flatMap((route) => servedMethodsOf(route, watch, options.check?.(route)));
}

function servedMethodsOf(route: Route, watch: Watch, check: Check | undefined): ServedMethod[] {
  const served: ServedMethod[] = [];
  for (const desc of route.service.methods) {
    const implementation: unknown = Reflect.get(route.implementation, desc.localName);
    if (typeof implementation !== "function") continue;
    const bound: unknown = implementation.bind(route.implementation);
    if (desc.methodKind === "unary") {
      served.push({ kind: "unary", desc, call: guardUnary(desc, bound as Unary, watch, check) });
    } else if (desc.methodKind === "server_streaming") {
      const open = (request: Message, context: HandlerContext): ServedStream =>
        new ServedStream(desc, bound as Streaming, request, context, watch, check);
      served.push({ kind: "stream", desc, open });
    } else {
      throw new TypeError(`${desc.toString()}: streams from clients are not served`);
    }
  }
  return served;
}

const complete = (schema: DescMessage, init: Init): Message => (isMessage(init, schema) ? init : create(schema, init));

function guardUnary(
  desc: DescMethod,
  call: Unary,
  watch: Watch,
  check: Check | undefined,
): (request: Message, context: HandlerContext) => Promise<Message> {
  const guarded = async (request: Message, context: HandlerContext): Promise<Message> => {
    try {
      check?.(desc.input, request);
      return complete(desc.output, await call(request, context));
    } catch (error) {
      throw toConnectError(error);
    }
  };
  if (watch === null) return guarded;
  return async (request, context) => {
    const watched = watch(desc, context);
    try {
      const message = await watched.run(() => guarded(request, context));
      watched.ended(undefined);
      return message;
    } catch (error) {
      watched.ended(toConnectError(error));
      throw error;
    }
  };
}

/** A stream of answers under way. */
export class ServedStream {
  private readonly output: DescMessage;
  private readonly watched: Watched | undefined;
  private readonly iterator: AsyncIterator<Init> | undefined;
  private failure: ConnectError | undefined;

  constructor(
    desc: DescMethod,
    call: Streaming,
    request: Message,
    context: HandlerContext,
    watch: Watch,
    check: Check | undefined,
  ) {
    this.output = desc.output;
    this.watched = watch === null ? undefined : watch(desc, context);
    try {
      check?.(desc.input, request);
      this.iterator = this.run(() => call(request, context)[Symbol.asyncIterator]());
    } catch (error) {
      this.failure = toConnectError(error);
    }
  }

  /** The next message, or undefined at the end. @throws ConnectError */
  async next(): Promise<Message | undefined> {
    const { iterator } = this;
    try {
      if (iterator === undefined) throw this.failure;
      const step = await (this.watched === undefined ? iterator.next() : this.run(() => iterator.next()));
      if (step.done !== true) return complete(this.output, step.value);
    } catch (error) {
      const failure = toConnectError(error);
      this.watched?.ended(failure);
      throw failure;
    }
    this.watched?.ended(undefined);
    return undefined;
  }

  /** Nobody wants the rest. The implementation is told; what it still says about it went to the hooks or nowhere. */
  cancel(reason: ConnectError): void {
    const { iterator } = this;
    this.watched?.ended(reason);
    if (iterator?.return === undefined) return;
    const returned = this.run(() => iterator.return?.());
    returned?.catch(() => undefined);
  }

  private run<T>(call: () => T): T {
    return this.watched === undefined ? call() : this.watched.run(call);
  }
}
