import type { Place } from "@weir/guardrails";
import type { Bound, Candidate } from "./domain/bound.ts";
import type { Answer, Call, Output, Served, StreamMessage } from "./domain/call.ts";
import type { Grant } from "./domain/grant.ts";
import type { Freshness } from "./domain/key.ts";
import type { KeptAnswer } from "./domain/kept-answer.ts";
import type { DataSubject, Intent, Outcome, Refusal, SealedPayload } from "./domain/record.ts";
import type { ExternalCheck } from "./domain/guardrails/guard.ts";
import type { Shadow } from "./domain/shadow.ts";
import type { Settlement } from "./domain/settlement.ts";
import type { Reason } from "@weir/kernel";

/** The keys that policy pushed. Never blocks. */
export interface KeyDirectory {
  /** @param secret the key as the client sent it; undefined means unknown or revoked, to be read with `freshness` */
  find(secret: string): Grant | undefined;
  freshness(): Freshness;
  /** A key by its id, with the text that it has now. */
  byId(keyId: string): Grant | undefined;
  /** The version of the rules in force, for the record. */
  readonly version: bigint;
}

/** Remembers which keys are used. Never blocks, never fails. */
export interface KeyUses {
  used(grant: Grant): void;
}

/** Detectors that are asked over the network. MUST NOT reject: one that does not answer in time is `unasked`. */
export interface ExternalDetectors {
  ask(
    check: ExternalCheck,
    asked: { readonly request_id: string; readonly place: Place; readonly texts: readonly string[] },
  ): Promise<"found" | "nothing" | "unasked">;
}

/** What takes from limits and budgets. */
export interface Admissions {
  /**
   * Takes every limit and holds every budget on the key's path, or nothing.
   * Where a limit queues this takes as long as its queue.
   * @param signal aborted when the client goes away: then its place is free at once
   * @throws WeirError policy_unavailable when it could not be asked, client_closed; what it may have taken all the same MUST be given back
   * later
   */
  admit(admission: Admission, signal: AbortSignal): Promise<Verdict>;
  /**
   * Turns holds into charges. Never blocks and never fails: it is tried until policy has it. MUST be called for every outcome that was
   * recorded, with no settlements where nothing was held.
   * @param outcomeNumber its number in the journal; 0 where none was recorded
   */
  settle(settlements: readonly Settlement[], outcomeNumber: number): void;
}

export interface Admission {
  readonly requestId: string;
  readonly keyId: string;
  readonly model: string;
  readonly bound: Bound;
  readonly endUser: string;
  readonly clientIp: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly runId: string;
  /** Equal for calls of a run that are the same call; "": it is not compared. MUST NOT leave the process but as a digest with the run's name. */
  readonly callText: string;
  /** Undefined: as long as its limits let it. */
  readonly maxWaitMs: number | undefined;
  readonly priority: number;
}

export interface LimitState {
  readonly unit: string;
  readonly limit: number;
  readonly remaining: number;
  /** Until it is full again. */
  readonly resetMs: number;
  /** 0: none, as of concurrency. */
  readonly windowMs: number;
  /** Tells it from the others. */
  readonly name: string;
}

/** What running requests hold of concurrency limits. Only for keys that have one. Never blocks and never fails. */
export interface Slots {
  began(requestId: string): void;
  ended(requestId: string): void;
}

export type Verdict = Decision & {
  /** For its turn under a limit that queues. */
  readonly waitedMs?: number;
};

type Decision =
  | { readonly admitted: true; readonly held: boolean; readonly limits: readonly LimitState[] }
  | {
      readonly admitted: false;
      readonly reason: Reason;
      readonly message: string;
      readonly retryAfterMs: number | undefined;
      readonly rule: string;
      readonly limits: readonly LimitState[];
    };

/** The durable record. Rejects with WeirError audit_unavailable when it cannot be written: then no provider may be called. */
export interface Journal {
  /** Resolves once the intent is written. @returns its number */
  intent(intent: Intent): Promise<number>;
  /**
   * Resolves once the outcome is written; only then may the client see its terminal byte. @returns its number
   * @param payload undefined: the workspace keeps no texts
   */
  outcome(intentNumber: number, outcome: Outcome, payload: SealedPayload | undefined): Promise<number>;
  /** Aggregates when many come. Never blocks, never fails the request. */
  refusal(refusal: Refusal): void;
  /** HMAC-SHA256 under the workspace's key. */
  hmac(workspaceId: string, bytes: Uint8Array): Uint8Array;
  /** An HMAC over what comes piece by piece. */
  hmacStream(workspaceId: string): { update(bytes: Uint8Array): void; digest(): Uint8Array };
  /** Why nothing can be recorded right now. */
  notReady(): string | undefined;
}

/** Keeps what was said, for workspaces that chose `full`; others never begin. Only what is sealed leaves it. */
export interface PayloadRecorder<Typed, Event> {
  begin(
    requestId: string,
    contentType: string,
    request: Uint8Array,
    subject: DataSubject,
  ): PayloadRecording<Typed, Event>;
}

/** Names for end users in records: equal for a while, and nobody can ever find out whose they are. Never blocks. */
export interface Pseudonyms {
  of(workspaceId: string, endUser: string): Uint8Array;
}

/** Bounded; takes copies. */
export interface PayloadRecording<Typed, Event> {
  answer(output: Output<Typed>): void;
  frame(bytes: Uint8Array): void;
  event(event: Event): void;
  /** MUST NOT throw: what cannot be sealed is omitted, never kept in clear. */
  sealed(): SealedPayload;
}

/** Which requests with an Idempotency-Key run, and what they were answered with. */
export interface IdempotentRequests<Typed, Event> {
  /**
   * Gives a key to one request only, over all instances, for a day; what is `begun` MUST end with `finish` or `release`. Blocks on the network.
   * @throws WeirError policy_unavailable
   */
  begin(asked: {
    readonly key: string;
    /** Whose it is. */
    readonly keyId: string;
    readonly workspaceId: string;
    readonly requestId: string;
    readonly route: string;
    readonly body: Uint8Array;
  }): Promise<
    | { readonly state: "begun"; readonly request: OpenRequest<Typed, Event> }
    | { readonly state: "answered"; readonly answer: KeptAnswer<Typed, Event> }
    | { readonly state: "running"; readonly requestId: string; readonly retryAfterMs: number }
    /** It asked something else, its answer was too large, or was encrypted under a key that is not known here. */
    | { readonly state: "mismatch" | "not-kept" | "unreadable"; readonly requestId: string }
  >;
}

/** Bounded; takes copies. Its end MUST NOT reject: who runs it has an answer to give. */
export interface OpenRequest<Typed, Event> {
  answer(output: Output<Typed>): void;
  frame(bytes: Uint8Array): void;
  event(event: Event): void;
  finish(served: Served, dropped: readonly string[]): Promise<void>;
  release(): Promise<void>;
}

/** The models that the router offers, as last heard. */
export interface ListedModel {
  readonly id: string;
  readonly candidates: readonly Candidate[];
}

export interface Models {
  /** Undefined: the router does not list it, which does not mean that it cannot serve it: see `find`. */
  candidates(model: string): readonly Candidate[] | undefined;
  /**
   * Asks the router about a name it does not list ("openai/gpt-4o-2024-08-06"); its answer is kept for a while.
   * @throws WeirError model_not_found where nothing serves it, router_unavailable
   */
  find(model: string): Promise<readonly Candidate[]>;
  /** Who gets copies of a listed model's requests. */
  shadow(model: string): Shadow | undefined;
  list(): readonly ListedModel[];
  notReady(): string | undefined;
}

/** The router. `Input`, `Output` and `Event` are the contract's typed messages. Rejects with UpstreamError. */
export interface Upstream<Input, Output, Event> {
  complete(call: Call<Input>, options: CallOptions): Promise<Answer<Output>>;
  embed(call: Call<Input>, options: CallOptions): Promise<Answer<Output>>;
  stream(call: Call<Input>, options: CallOptions): AsyncIterable<StreamMessage<Event>>;
  /**
   * Ends a stream whose client is gone: it then tells its account in its `end`.
   * @returns false where it does not run there: it has to be cut instead. Rejects with any error where nobody could be asked.
   */
  cancel(requestId: string, timeoutMs: number): Promise<boolean>;
}

/** Of one candidate. */
export interface CountedInput {
  readonly provider: string;
  readonly model: string;
  /** An upper bound. */
  readonly tokens: number;
  /** Of these, the texts of messages: the rest are bytes of all that is around them. */
  readonly textTokens: number;
}

/** Counts what models read. */
export interface InputCounter<Input> {
  /**
   * @param call its `inputBound` is the bytes of its text
   * @returns upper bounds for the candidates whose vocabulary is known. Rejects with UpstreamError.
   */
  countInput(call: Call<Input>, options: CallOptions): Promise<readonly CountedInput[]>;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly traceparent: string | undefined;
}
