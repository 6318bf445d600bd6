import type { ChatRequest, DialectName, EmbeddingsRequest, FinishReason, Usage } from "@weir/dialects";
import type { Nanos, WeirError } from "@weir/kernel";
import type { ToolBound } from "@weir/pricing";
import type { Billing } from "./billing.ts";

/** What a client asked for, before it is known who serves it. */
export interface Call {
  readonly requestId: string;
  /** The name the client used. */
  readonly model: string;
  readonly headers: readonly HeaderPair[];
  /** Empty: anybody. */
  readonly allowedProviders: readonly string[];
  readonly allowedRegions: readonly string[];
  /** Stand above what is allowed. */
  readonly deniedProviders: readonly string[];
  readonly deniedRegions: readonly string[];
  /** 0: no cap. */
  readonly outputCap: number;
  /** Members of a raw body that cap its answers at that or less. */
  readonly statedCaps: readonly string[];
  /** "": nothing is held. */
  readonly holdOwner: string;
  /** Whose request is held; goes with holdOwner. */
  readonly holdKeyId: string;
  /** Each attempt, the first one included, is asked for at policy before it is made. */
  readonly providerLimits?: boolean;
  /** Without an answer it is not made. */
  readonly providerLimitsFailClosed?: boolean;
  /** The most input tokens; 0: unknown. */
  readonly inputBound: number;
  /** What it belongs to, for routes that keep a conversation with one target; "": nothing. */
  readonly conversation: string;
  /** Who is turned away first where there is no room: the lowest. Default 0. */
  readonly priority?: number;
  /** For routes with rules. */
  readonly tags: Readonly<Record<string, string>>;
  /** The most that its key's rules let be cached. */
  readonly cacheable: "off" | "exact" | "semantic";
  /** What its provider may run for it; undefined: nothing that has a price. */
  readonly tools?: ToolBound | undefined;
  /** The limit of such calls that is written into a body which states none; 0: none is. */
  readonly toolCallCap: number;
  /** Whose contracts count, by name. */
  readonly workspace: string;
  /** Whose prices count; 0: those of now. */
  readonly atMs: bigint;
}

export interface HeaderPair {
  readonly name: string;
  readonly value: string;
}

export interface RawChat {
  readonly kind: "raw";
  readonly dialect: DialectName;
  readonly body: Uint8Array;
}

export interface TypedChat {
  readonly kind: "typed";
  readonly request: ChatRequest;
}

export type ChatInput = RawChat | TypedChat;

export type EmbedInput =
  | { readonly kind: "raw"; readonly body: Uint8Array }
  | { readonly kind: "typed"; readonly request: EmbeddingsRequest };

export interface Served {
  readonly provider: string;
  readonly model: string;
  readonly region: string;
  readonly attempt: number;
  /** Where it was sent to: scheme, host and port. Undefined of answers that were kept. */
  readonly origin?: string | undefined;
}

/** One call of a provider and what came of it. */
export interface Attempt extends Served {
  /** 0: no answer. */
  readonly status: number;
  readonly error: WeirError | undefined;
  readonly usage: Usage | undefined;
  readonly costNanos: Nanos;
  readonly billing: Billing;
  readonly durationUs: number;
}

/** An answer as the client gets it. */
export interface RawAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface CallResult {
  readonly served: Served | undefined;
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly attempts: readonly Attempt[];
  readonly error: WeirError | undefined;
  readonly dropped: readonly string[];
  readonly headers: readonly HeaderPair[];
  readonly providerUs: number;
  readonly firstTokenUs: number;
  readonly priceVersion: string;
  /** Undefined: it was not looked for in the cache. */
  readonly cache?: CacheUse | undefined;
}

/** `stale`: there was one, older than its client would have; `bypass`: its client asked for a new one. */
export type CacheOutcome = "hit" | "semantic-hit" | "miss" | "stale" | "bypass";

export interface CacheUse {
  readonly outcome: CacheOutcome;
  /** 0 where nothing was given again, as of what was saved. */
  readonly ageMs: number;
  /** What the answer did cost when it was made. */
  readonly savedNanos: Nanos;
  /** Of a semantic hit: the cosine between the two questions; else of the nearest that would not do. 0: none was compared. */
  readonly similarity: number;
}
