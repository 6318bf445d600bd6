/**
 * Input is bounded by its bytes, which costs nothing to know and is about four times its tokens. Where that does not fit (into a budget, a
 * limit of tokens, the longest input that a key may send), the tokens are counted, by the router, before anybody is refused. Failure
 * policy: whoever cannot be counted is bounded by its bytes; that nobody could count refuses nobody who fits by bytes.
 */
import { type Candidate, type Counted, countedName, permitted } from "../domain/bound.ts";
import type { Call } from "../domain/call.ts";
import { UpstreamError } from "../domain/call.ts";
import type { Grant } from "../domain/grant.ts";
import type { InputCounter, Verdict } from "../ports.ts";
import type { Incoming } from "./trail.ts";

export type CountInput = <Input>(
  call: Call<Input>,
  candidates: readonly Candidate[] | undefined,
  grant: Grant,
) => Promise<Counted | undefined>;

/** Long texts take a third of a second, and may wait for others. */
const TIMEOUT_MS = 2_000;

/** @param onError is told that nobody could count */
export function createCountInput<Typed>(inputs: InputCounter<Typed>, onError: (error: unknown) => void): CountInput {
  return async (call, candidates, grant) => {
    const countable = (candidates ?? []).some((one) => one.countsTokens && permitted(one, grant));
    if (!countable) return undefined;
    try {
      const options = { signal: NEVER, timeoutMs: TIMEOUT_MS, traceparent: undefined };
      const counted = await inputs.countInput(call as Call<never>, options);
      return new Map(counted.map((one) => [countedName(one), one]));
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      onError(error.error);
      return undefined;
    }
  };
}

const NEVER = new AbortController().signal;

/** Whether fewer tokens might have been let in. */
export const mayFitCounted = (verdict: Verdict): boolean =>
  !verdict.admitted && (verdict.reason === "budget_exceeded" || verdict.reason === "rate_limited");

/** A request as far as it takes to count it. */
export const countingCall = <Input>({ requestId, input, shape }: Incoming<Input>, { key }: Grant): Call<Input> => ({
  requestId,
  model: shape.model,
  input,
  headers: [],
  rules: key.rules,
  outputCap: 0,
  statedCaps: [],
  keyId: key.id,
  held: false,
  providerLimits: "none",
  inputBound: shape.textBytes,
  conversation: "",
  priority: 0,
  tags: {},
  tools: undefined,
  toolCallCap: 0,
  workspace: key.workspace,
  atMs: 0,
});
