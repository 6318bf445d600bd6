import type { FinishReason, Usage } from "@weir/dialects";
import type { WeirError } from "@weir/kernel";
import type { Attempt, CallResult, ChatInput, HeaderPair, RawAnswer } from "../domain/call.ts";
import type { Running, Tried } from "./attempts.ts";
import type { Dialects } from "./prepare.ts";
import { costIn, priceVersion } from "./usage.ts";

const NONE: readonly never[] = [];

export interface ServedOutcome {
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly status: number;
  /** A stream that broke after it had begun. */
  readonly error: WeirError | undefined;
  readonly durationMs: number;
}

export function servedResult(
  running: Running<unknown>,
  failures: Attempt[],
  outcome: ServedOutcome,
  rest: {
    readonly dropped: readonly string[];
    readonly headers: readonly HeaderPair[];
    readonly spentMs: number;
    readonly firstTokenMs: number;
  },
): CallResult {
  const { target, attempt, price } = running;
  const { usage, finishReason, status, error, durationMs } = outcome;
  const served: Attempt = {
    provider: target.provider,
    model: target.model,
    region: target.region,
    origin: target.upstream.origin,
    attempt,
    status,
    error,
    usage,
    costNanos: costIn(price, usage),
    billing: "charged",
    durationUs: Math.round(durationMs * 1000),
  };
  return {
    served,
    usage,
    finishReason,
    attempts: failures.length === 0 ? [served] : [...failures, served],
    error,
    dropped: rest.dropped,
    headers: rest.headers,
    providerUs: Math.round(rest.spentMs * 1000),
    firstTokenUs: Math.round(rest.firstTokenMs * 1000),
    priceVersion: priceVersion(price, usage),
  };
}

export function failedResult(tried: Tried<unknown>, spentMs: number): CallResult {
  return {
    served: undefined,
    usage: undefined,
    finishReason: undefined,
    attempts: tried.failures,
    error: tried.error,
    dropped: NONE,
    headers: NONE,
    providerUs: Math.round(spentMs * 1000),
    firstTokenUs: 0,
    priceVersion: "",
  };
}

/** A failure as an answer in the client's dialect; undefined for a typed caller, who reads the result's error. */
export function failureAnswer(
  dialects: Dialects,
  input: ChatInput,
  { last, error }: Tried<unknown>,
  requestId: string,
): RawAnswer | undefined {
  if (input.kind === "typed" || error === undefined) return undefined;
  if (last?.answer !== undefined && last.error === error) return last.answer;
  const body = Buffer.from(JSON.stringify(dialects[input.dialect].renderError(error, requestId, last?.code)));
  return { status: error.status, contentType: "application/json", body };
}
