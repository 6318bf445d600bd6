import type { Verdict } from "@weir/guardrails";
import type { FacadeDialect } from "./shape.ts";
import type { CallResult } from "./call.ts";
import type { Reason } from "@weir/kernel";

/** What is known of a request before a provider is called. Holds no personal data: names and texts are HMACs. */
export interface Intent {
  readonly requestId: string;
  readonly atMs: number;
  readonly organizationId: string;
  readonly workspaceId: string;
  readonly projectId: string;
  readonly keyId: string;
  /** "POST /v1/chat/completions", or an RPC's name. */
  readonly route: string;
  readonly model: string;
  readonly stream: boolean;
  /** Undefined for typed calls. */
  readonly dialect: FacadeDialect | undefined;
  readonly endUserHmac: Uint8Array;
  readonly inputHmac: Uint8Array;
  readonly boundNanos: bigint;
  readonly policyVersion: bigint;
  readonly tags: Readonly<Record<string, string>>;
  readonly clientRequestId: string;
  readonly traceId: string;
  readonly held: boolean;
  /** The request of which it is a copy. */
  readonly shadowOf?: string;
}

export interface Outcome {
  readonly intent: Intent;
  readonly atMs: number;
  readonly kind: "succeeded" | "failed" | "cancelled";
  /** What the client gets. */
  readonly status: number;
  readonly error: Reason | undefined;
  readonly result: CallResult;
  readonly outputHmac: Uint8Array;
  readonly overheadUs: number;
  /** Undefined: no guardrail looked at it. */
  readonly guardrails: GuardrailVerdict | undefined;
  /** The request whose answer was given once more. */
  readonly replayOf?: string;
}

export interface GuardrailVerdict extends Verdict {
  readonly names: readonly string[];
}

/** Whose a request's texts are: its end user's; where it names none, its key's. */
export interface DataSubject {
  readonly workspaceId: string;
  /** "": none. */
  readonly endUser: string;
  readonly keyId: string;
  /** Personal data and secrets are taken out before they are kept. */
  readonly redacted: boolean;
}

/** What was said, sealed to audit's key: nobody on the way there can read it. */
export interface SealedPayload {
  /** Empty where nothing is kept. */
  readonly bytes: Uint8Array;
  /** Some of it did not fit, or there is no key to seal it to. */
  readonly omitted: boolean;
}

/** A known key's request that no provider was called for. */
export interface Refusal {
  readonly requestId: string;
  readonly atMs: number;
  readonly organizationId: string;
  readonly workspaceId: string;
  readonly projectId: string;
  readonly keyId: string;
  readonly route: string;
  readonly model: string;
  readonly reason: Reason;
  /** The budget, limit or rule that refused. */
  readonly rule: string;
  readonly count: number;
}
