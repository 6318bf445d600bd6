import type { DialectName, FinishReason, Usage } from "@weir/dialects";
import { type Reason, WeirError } from "@weir/kernel";
import type { ToolBound } from "@weir/pricing";
import type { Rules } from "@weir/rules";

/** Who served a call. */
export interface Served {
  readonly provider: string;
  readonly model: string;
  readonly region: string;
  readonly attempt: number;
  /** Where it was sent to: scheme, host and port. "" or undefined: nowhere for this request. */
  readonly origin?: string;
}

export interface Attempt {
  readonly attempt: number;
  readonly provider: string;
  readonly model: string;
  readonly region: string;
  /** Where it was sent to. */
  readonly origin?: string | undefined;
  /** 0: no answer. */
  readonly status: number;
  readonly error: Reason | undefined;
  readonly usage: Usage | undefined;
  readonly costNanos: bigint;
  /** What the provider will bill; `unknown`: it was sent and not answered. */
  readonly billing: "charged" | "nothing" | "unknown";
  readonly durationUs: number;
}

/** How a routed call ended. */
export interface CallResult {
  readonly served: Served | undefined;
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly attempts: readonly Attempt[];
  readonly error: WeirError | undefined;
  readonly dropped: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
  readonly providerUs: number;
  readonly firstTokenUs: number;
  readonly costNanos: bigint;
  readonly priceVersion: string;
  /** Undefined: it was not looked for in the cache. */
  readonly cache?: CacheUse | undefined;
}

/** `stale`: there was one, older than its client would have; `bypass`: its client asked for a new one. */
export type CacheOutcome = "hit" | "semantic-hit" | "miss" | "stale" | "bypass";

export interface CacheUse {
  readonly outcome: CacheOutcome;
  readonly ageMs: number;
  /** What the answer did cost when it was made. */
  readonly savedNanos: bigint;
  /** Of a semantic hit: the cosine between the two questions; else of the nearest that would not do. 0: none was compared. */
  readonly similarity: number;
}

/** No provider was called for an answer, and nothing is charged for one. */
export const isHit = (use: CacheUse | undefined): boolean => use?.outcome === "hit" || use?.outcome === "semantic-hit";

/** Bytes for an HTTP client, or the typed answer for an RPC caller; `Typed` is the contract's message, opaque here. */
export type Output<Typed> =
  | { readonly kind: "raw"; readonly status: number; readonly contentType: string; readonly body: Uint8Array }
  | { readonly kind: "typed"; readonly value: Typed }
  | { readonly kind: "none" };

export interface Answer<Typed> {
  readonly result: CallResult;
  readonly output: Output<Typed>;
}

/** What the ingress asks of the router. `Input` is the contract's typed message, opaque here. */
export interface Call<Input> {
  readonly requestId: string;
  readonly model: string;
  readonly input:
    | { readonly dialect: DialectName | "openai-embeddings"; readonly body: Uint8Array }
    | { readonly typed: Input };
  readonly headers: readonly (readonly [string, string])[];
  /** What it belongs to; "": nothing. */
  readonly conversation: string;
  /** From 0 to 9: where there is no room for all, the lowest is refused first. */
  readonly priority: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Who may serve it, and what may be cached of it. */
  readonly rules: Rules;
  /** 0: none. */
  readonly outputCap: number;
  /** Members of the body that cap its answers at that or less. */
  readonly statedCaps: readonly string[];
  readonly keyId: string;
  readonly held: boolean;
  /** Whether each attempt is asked for at policy first, and what becomes of it without an answer. */
  readonly providerLimits: "none" | "fail-open" | "fail-closed";
  readonly inputBound: number;
  /** What its provider may run for it; undefined: nothing that is paid for by the call. */
  readonly tools: ToolBound | undefined;
  /** The limit of such calls to write into its body; 0: none. */
  readonly toolCallCap: number;
  /** Whose contracts count, by name. */
  readonly workspace: string;
  /** Whose prices count. */
  readonly atMs: number;
}

/** The router gave no result. What the caller gets instead is in `error`. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly error: WeirError;
  /** Whether a provider may have been called, and may bill for it. */
  readonly tried: boolean;

  constructor(error: WeirError, tried: boolean) {
    super(error.message, { cause: error });
    this.error = error;
    this.tried = tried;
  }
}

/** What a failure below is to the caller: never its text, unless it was written for callers. */
export function callerError(failure: unknown): WeirError {
  if (failure instanceof UpstreamError) return failure.error;
  return failure instanceof WeirError
    ? failure
    : new WeirError("internal", "Weir failed to answer.", { cause: failure });
}

/** Of what nobody can say that nothing was called, something may have been. */
export const mayHaveTried = (failure: unknown): boolean => !(failure instanceof UpstreamError) || failure.tried;

/** Rates to charge a stream with whose end nobody saw. */
export interface StreamRates {
  readonly inputTokens: number;
  readonly priceVersion: string;
  readonly costOf: (usage: Usage) => bigint;
}

export type StreamMessage<Typed> =
  | {
      readonly kind: "start";
      readonly served: Served;
      readonly dropped: readonly string[];
      readonly headers: readonly (readonly [string, string])[];
      readonly rates: StreamRates | undefined;
      readonly cache?: CacheUse | undefined;
      /** What came before the attempt that serves; each is settled by itself. */
      readonly failedAttempts: readonly Attempt[];
    }
  | { readonly kind: "frame"; readonly bytes: Uint8Array; readonly outputBytes: number }
  | { readonly kind: "event"; readonly event: Typed; readonly outputBytes: number }
  | {
      readonly kind: "end";
      readonly result: CallResult;
      readonly terminal: Uint8Array;
      readonly failure: Output<never>;
    };
