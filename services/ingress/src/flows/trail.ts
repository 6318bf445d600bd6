import type { CacheUse, CallResult } from "../domain/call.ts";
import type { Grant } from "../domain/grant.ts";
import type { GuardSession } from "../domain/guardrails/session.ts";
import type { DataSubject } from "../domain/record.ts";
import type { LimitState } from "../ports.ts";
import type { FacadeDialect, RequestShape } from "../domain/shape.ts";
import type { Call } from "../domain/call.ts";
import type { Reason } from "@weir/kernel";
import type { Waiting } from "../domain/waiting.ts";

/** A request as an edge (HTTP or RPC) understood it, before anything was decided about it. */
export interface Incoming<Input> {
  readonly requestId: string;
  readonly route: string;
  /** Undefined for typed calls. */
  readonly dialect: FacadeDialect | undefined;
  readonly grant: Grant;
  readonly shape: RequestShape;
  readonly input: Call<Input>["input"];
  /** What the record's HMAC of the input is taken over. */
  readonly inputBytes: Uint8Array;
  readonly inputType: string;
  /** Of a typed call that guardrails changed: how it is written where its texts are kept. */
  encode?(input: Input): Uint8Array;
  readonly clientIp: string;
  readonly clientRequestId: string;
  readonly traceparent: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** The agent run that it is a step of; "": none. */
  readonly runId: string;
  /** What it belongs to, for routes that keep a conversation with one target: its own word, else its run; "": nothing. */
  readonly conversation: string;
  /** Headers that a provider may want. */
  readonly headers: readonly (readonly [string, string])[];
  /** Where a limit queues. Undefined: it said nothing about it. */
  readonly waiting?: Waiting | undefined;
  /** Its client's; "" or none: it may run as often as it comes. */
  readonly idempotencyKey?: string;
  /** The request of which it is a copy. */
  readonly shadowOf?: string;
  /** Whose texts a copy has. Undefined: its own end user's or key's. */
  readonly subject?: DataSubject;
}

/** What was done for a request so far; the edge writes its headers, metrics and log line from it, however it ended. */
export interface Trail {
  readonly requestId: string;
  readonly route: string;
  /** Monotonic. */
  readonly startedMs: number;
  model: string;
  stream: boolean;
  grant: Grant | undefined;
  limits: readonly LimitState[];
  /** For its turn under a limit that queues: no overhead, but what the operator asked for. */
  waitedMs: number;
  result: CallResult | undefined;
  /** Known before the result of a stream is. */
  cache: CacheUse | undefined;
  outcome: "succeeded" | "failed" | "cancelled" | "refused";
  status: number;
  reason: Reason | undefined;
  overheadUs: number;
  guardrails: GuardSession | undefined;
  /** The request whose answer it got; "": it has its own. */
  replayOf: string;
}

export function newTrail(requestId: string, route: string, startedMs: number): Trail {
  return {
    requestId,
    route,
    startedMs,
    model: "",
    stream: false,
    grant: undefined,
    limits: [],
    waitedMs: 0,
    result: undefined,
    cache: undefined,
    outcome: "refused",
    status: 0,
    reason: undefined,
    overheadUs: 0,
    guardrails: undefined,
    replayOf: "",
  };
}
