import { context as openTelemetry, type Tracer } from "@opentelemetry/api";
import type { ConnectError, HandlerContext } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";
import { endSpan, startServerSpan, type TracedCall } from "./tracing.ts";

/** A call that a server has ended. */
export interface ServedCall {
  readonly method: DescMethod;
  readonly durationMs: number;
  /** Undefined: it succeeded. Its cause, where there is one, is what the implementation threw. */
  readonly error: ConnectError | undefined;
}

/** What runs around every call, whichever way it comes. Leave out what is not needed: nothing is run then. */
export interface Hooks {
  /** Calls that come with a sampled `traceparent` get a server span, calls made within a sampled span send one on. */
  readonly tracer?: Tracer | undefined;
  /** Called after each served call, on the server's side; must not throw. */
  readonly onServed?: ((call: ServedCall) => void) | undefined;
}

/** One call under its hooks. */
export class Watched {
  private readonly hooks: Hooks;
  private readonly method: DescMethod;
  private readonly startedMs: number;
  private readonly traced: TracedCall | undefined;
  private over = false;

  constructor(hooks: Hooks, method: DescMethod, context: HandlerContext) {
    this.hooks = hooks;
    this.method = method;
    this.startedMs = performance.now();
    const { tracer } = hooks;
    this.traced =
      tracer === undefined ? undefined : startServerSpan(tracer, method, context.requestHeader.get("traceparent"));
  }

  run<T>(call: () => T): T {
    return this.traced === undefined ? call() : openTelemetry.with(this.traced.context, call);
  }

  ended(error: ConnectError | undefined): void {
    if (this.over) return;
    this.over = true;
    if (this.traced !== undefined) endSpan(this.traced.span, error);
    this.hooks.onServed?.({ method: this.method, durationMs: performance.now() - this.startedMs, error });
  }
}

/** Begins to watch a call; null where there is nothing to run. */
export type Watch = ((method: DescMethod, context: HandlerContext) => Watched) | null;

export function watchWith(hooks: Hooks | undefined): Watch {
  if (hooks === undefined || (hooks.tracer === undefined && hooks.onServed === undefined)) return null;
  return (method, context) => new Watched(hooks, method, context);
}
