import type { FinishReason, JsonChanges, JsonObject, Usage } from "@weir/dialects";
import type { Reason, WeirError } from "@weir/kernel";
import type { TokenBound } from "@weir/pricing";
import type { CacheUse, Served } from "./domain/call.ts";
import type { BreakerState } from "./domain/health.ts";
import type { Target } from "./domain/target.ts";
import type { Wire } from "./domain/wire.ts";

/** One request to a provider, complete but for its origin. */
export interface ProviderRequest {
  /** Path and query. */
  readonly path: string;
  /** Rendered lines: "name: value\r\n" each. Holds the credential: never logged. */
  readonly headers: string;
  readonly body: Uint8Array;
  readonly wire: Wire;
  readonly model: string;
  readonly stream: boolean;
  /** Not later than this from now; undefined: the provider's own timeouts only. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal;
}

export interface AnswerHeaders {
  get(lowerCaseName: string): string | undefined;
}

export interface TransportFailure {
  readonly kind:
    | "connect"
    | "timeout-connect"
    | "timeout-first-byte"
    | "timeout-idle"
    | "reset"
    | "protocol"
    | "cancelled"
    | "too-many"
    /** The call's own time is over. */
    | "deadline"
    /** There is no credential to send. */
    | "credential";
  /** Whether any byte of the request may have reached the provider. */
  readonly sent: boolean;
}

/** Gets one answer: `head`, any `data`, then exactly one of `end` and `error`. */
export interface AnswerSink {
  head(status: number, headers: AnswerHeaders): void;
  data(chunk: Uint8Array): void;
  end(): void;
  error(failure: TransportFailure): void;
}

export interface Exchange {
  /** Ends it with a "cancelled" error if it is still going on. */
  cancel(): void;
  pause(): void;
  resume(): void;
}

/** Where a provider is reached: its own origin, and no other (redirects are answers like any other). */
export interface Transport extends AsyncDisposable {
  send(request: ProviderRequest, sink: AnswerSink): Exchange;
}

/** Proves to a provider who asks, where that is more than a header that never changes: a token that expires, a signature. */
export interface Authorizer {
  /**
   * The header lines to add to a request. MUST NOT be shown to anybody but the provider's own origin.
   * @returns a promise only while a credential has to be fetched; it rejects with a CredentialError
   */
  headersFor(request: ProviderRequest): string | Promise<string>;
  /** The provider answered so: what it refused is not worth keeping. */
  refused(status: 401 | 403): void;
  /** Whether a text holds what it keeps. */
  betrays(text: string): boolean;
}

/** A target with what it takes to call it; made once. */
export interface RoutedTarget extends Target {
  readonly upstream: Upstream;
  /** In order of preference. */
  readonly wires: readonly Wire[];
  /** As in the provider's quirks. */
  readonly outputCaps: Readonly<Partial<Record<Wire, readonly string[]>>>;
  readonly asksForUsage: boolean;
  readonly adapt: ((body: JsonObject, wire: Wire, model: string) => JsonObject) | undefined;
  readonly splice: ((wire: Wire) => JsonChanges | undefined) | undefined;
  /** Path and rendered headers, made once for each. */
  endpoint(wire: Wire, stream: boolean): RenderedEndpoint;
}

export interface RenderedEndpoint {
  readonly path: string;
  readonly headers: string;
}

/** A configured provider. */
export interface Upstream {
  readonly name: string;
  readonly kind: string;
  /** Where all its calls go: scheme, host and port; "" where none leave this process. */
  readonly origin: string;
  /** As the configuration states them; "": not stated. */
  readonly region: string;
  readonly terms: { readonly dpa: string; readonly retention: string; readonly training: string };
  readonly transport: Transport;
  /** Whether a client's header goes to it. */
  readonly forwards: (lowerCaseName: string) => boolean;
  /** Whether a text holds this provider's credential. */
  readonly betrays: (text: string) => boolean;
  readonly stats: UpstreamStats;
}

export interface UpstreamStats {
  succeeded: bigint;
  failed: bigint;
  inFlight: number;
  lastFailureMs: number;
  lastError: Reason | undefined;
}

/** Whose attempt is held. */
export interface HeldAttempt {
  /** "": nothing is held for it. */
  readonly owner: string;
  readonly keyId: string;
  readonly requestId: string;
  readonly attempt: number;
}

/** Budgets are held for every attempt before it is made; the first one's hold exists already. */
/** What an attempt may cost, and whom it asks. */
export interface AskedAttempt extends HeldAttempt {
  readonly costNanos: bigint;
  readonly tokens: TokenBound;
  /** "": limits per provider are not asked for. */
  readonly provider: string;
  /** What becomes of an attempt of which nothing has to be held, where policy does not answer. */
  readonly failsClosed: boolean;
}

export interface Holds {
  /**
   * Takes the limits of the attempt's provider, and holds what it may cost; the first attempt's hold exists already.
   * @returns why the attempt must not be made; rate_limited: another provider may be asked. Undefined: it may be made
   */
  extend(attempt: AskedAttempt): Promise<WeirError | undefined>;
  /** Gives back what an attempt took that is not made after all. Never rejects. */
  release(attempt: HeldAttempt): Promise<void>;
}

export interface TokenCounter {
  /** @returns undefined where the vocabulary is not known, or it is too much to count now */
  count(target: Pick<Target, "vocabulary">, texts: readonly string[]): Promise<number | undefined>;
  /** Whether a vocabulary may have been loaded. */
  readonly started: boolean;
}

/** What the replicas of the router know of targets together. Without it each finds out for itself. */
export interface SharedHealth {
  /** Its health changed so that others must know. Never blocks, never fails: what is lost, the others find out for themselves. */
  tell(target: Target): void;
  /** Whether this replica may probe a target: of several at once one may. Resolves soon, with true where the others cannot be asked. */
  mayProbe(target: Target): Promise<boolean>;
  /** The probe is over. */
  probed(target: Target): void;
}

/** Names an answer in the cache; whoever has only the name can read nothing of it. */
export interface CacheKey {
  readonly name: string;
  /** 32 bytes that only who has the same request can make. */
  readonly secret: Uint8Array;
}

/** An answer as its client got it. */
export interface KeptAnswer {
  readonly atMs: number;
  readonly served: Served;
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly dropped: readonly string[];
  /** What all attempts at it did cost. */
  readonly costNanos: bigint;
  readonly priceVersion: string;
  readonly status: number;
  readonly contentType: string;
  /** A whole answer, or a stream's frames one after the other. */
  readonly body: Uint8Array;
  /** A stream's last bytes; empty for a whole answer. */
  readonly terminal: Uint8Array;
  readonly outputBytes: number;
  /** It was made for another question, and this is how near that was; undefined: for its own. */
  readonly similarity?: number | undefined;
}

/** Where answers are kept. Failure policy: open. What cannot be read was not kept, and nothing waits for it. */
export interface AnswerCache {
  /** Never rejects. */
  get(key: CacheKey): Promise<KeptAnswer | undefined>;
  /** Never blocks, never throws. */
  put(key: CacheKey, answer: KeptAnswer, ttlMs: number): void;
}

/** Lets one replica of all go for an answer that several want. Failure policy: open. Who cannot ask, goes. */
export interface ReplicaFlights {
  /**
   * Never rejects.
   * @returns what to call, once, when the way is over, after what was got was put; undefined: another replica is on its way
   */
  board(name: string): Promise<(() => void) | undefined>;
}

/** Questions whose answers may do for each other: everything around them is equal. Names tell nothing to who does not have the router's secret. */
export interface QuestionSpace {
  /** A workspace's questions to a model: what their number is bounded by. 32 bytes, as all of these. */
  readonly scope: Uint8Array;
  readonly name: Uint8Array;
  readonly secret: Uint8Array;
}

export interface Nearest {
  /** Cosine. */
  readonly similarity: number;
  /** Undefined: it is not near enough. */
  readonly answer: KeptAnswer | undefined;
}

/**
 * Answers by what was asked. Exact: of all questions of a space, the nearest is found; of equally near ones, the latest. Failure policy: open, as of
 * AnswerCache. Nothing that it stores can be read without the space's secret.
 */
export interface SemanticCache {
  /** Never rejects. @param vector of length one @returns undefined: there is nothing, or it cannot be read */
  nearest(
    space: QuestionSpace,
    vector: Float32Array,
    wanted: { readonly atLeast: number; readonly madeFromMs: number },
  ): Promise<Nearest | undefined>;
  /** Never blocks, never throws. What is above the scope's number goes, the oldest first. */
  put(
    space: QuestionSpace,
    vector: Float32Array,
    answer: KeptAnswer,
    kept: { readonly ttlMs: number; readonly mostEntries: number },
  ): void;
}

/** Told what the cache was good for. MUST NOT throw or block. */
export interface CacheEvents {
  /** A request looked, or did not want to. @param model the name that the client used, of one that keeps answers */
  used(model: string, use: CacheUse): void;
  /** An answer went before its time, for others to have room. */
  evicted(entries: number): void;
  /** A question got a vector, or why it did not. */
  embedded(end: EmbeddingEnd): void;
}

/** `refused`: by a budget or a limit; `no_target`: nobody may be asked now; `failed`: who was asked did not answer well. */
export type EmbeddingEnd = "made" | "refused" | "no_target" | "failed";

/** Asks whether a provider is there at all. */
export interface HealthCheck extends AsyncDisposable {
  readonly provider: string;
  readonly intervalMs: number;
  /** Whether it answered, with anything but an error of its own (5xx). Never rejects; takes no longer than an interval. */
  passes(): Promise<boolean>;
}

/** How a second attempt beside a slow one came about, or why it did not; `won` and `lost` follow a `started`. */
export type HedgeEvent = "started" | "won" | "lost" | "denied_by_share" | "denied_by_hold" | "no_target" | "too_late";
/** How waiting for room at a target ended. */
export type QueueEnd = "admitted" | "shed" | "timed_out" | "left";

/** Told what becomes of targets and of calls of them. MUST NOT throw or block. */
export interface RouterEvents {
  /** An attempt is over. @param error undefined: it served */
  attempted(target: Target, error: WeirError | undefined, durationMs: number): void;
  /** @param model the name that the client used, of one that is configured to be hedged */
  hedged(model: string, event: HedgeEvent): void;
  queued(target: Target, priority: number, end: QueueEnd, waitedMs: number): void;
  /** This replica moved a breaker: what others told is theirs to count. */
  breaker(target: Target, state: BreakerState): void;
}
