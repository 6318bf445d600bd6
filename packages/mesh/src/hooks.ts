import type { Tracer } from "@opentelemetry/api";
import type { ConnectError } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";

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
  readonly tracer?: Tracer;
  /** Called after each served call, on the server's side; must not throw. */
  readonly onServed?: (call: ServedCall) => void;
}
