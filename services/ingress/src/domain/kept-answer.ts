import type { Output, Served } from "./call.ts";

/** What a request with an Idempotency-Key was answered with, as its client saw it. */
export interface KeptAnswer<Typed, Event> {
  /** The request that was answered. */
  readonly requestId: string;
  readonly served: Served;
  readonly dropped: readonly string[];
  readonly content:
    | { readonly kind: "whole"; readonly output: Output<Typed> }
    /** The last one ended the stream. */
    | { readonly kind: "frames"; readonly frames: readonly Uint8Array[] }
    | { readonly kind: "events"; readonly events: readonly Event[] };
}
