import { hash } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import { fromConnectError } from "@weir/mesh";
import { isReason, type Reason, WeirError } from "@weir/kernel";
import type { Charge, Settlement } from "../domain/settlement.ts";
import type { Admission, Admissions, LimitState, Verdict } from "../ports.ts";
import { type SettlementListeners, SettlementQueue } from "./settlement-queue.ts";
import { reasonOf } from "./wire-names.ts";

type PolicyClient = Client<typeof policy.PolicyService>;

/** How long an admission may take before policy counts as away. */
const ADMIT_TIMEOUT_MS = 2_000;
const SETTLE_TIMEOUT_MS = 10_000;
const SETTLED_EVERY_MS = 200;
/** The contract takes 4,096 a call; smaller calls keep a replica's transaction short. */
const MAX_BATCH = 1_000;

interface Waiting {
  readonly admission: Admission;
  readonly signal: AbortSignal;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

const limitsOf = (limits: readonly policy.LimitState[]): LimitState[] =>
  limits.map((limit) => ({
    unit: limit.unit,
    limit: Number(limit.limit),
    remaining: Number(limit.remaining),
    resetMs: Number(limit.resetMs),
    windowMs: Number(limit.windowMs),
    name: limit.name,
  }));

/** Policy's ledger gave no answer: a replica that dies now cannot give back what it may hold. */
const isUnsure = (verdict: policy.Verdict | undefined): boolean =>
  verdict?.verdict.case === "refused" && verdict.verdict.value.mayBeHeld;

function verdictOf(verdict: policy.Verdict | undefined): Verdict {
  const limits = limitsOf(verdict?.limits ?? []);
  const what = verdict?.verdict;
  if (what?.case === "admitted") return { admitted: true, held: what.value.held, limits };
  const refused = what?.case === "refused" ? what.value : undefined;
  const error = refused?.error;
  const reason: Reason = error === undefined ? "policy_unavailable" : reasonOf(error.reason);
  return {
    admitted: false,
    reason: isReason(reason) ? reason : "policy_unavailable",
    message: error?.message ?? "Policy gave no verdict.",
    retryAfterMs: error === undefined || error.retryAfterMs === 0 ? undefined : error.retryAfterMs,
    rule: refused?.rule ?? "",
    limits,
  };
}

// Plain objects with their type's name are messages: create() would cost more than the whole call in process.
function admissionMessage(admission: Admission): policy.Admission {
  const { requestId, keyId, model, bound, endUser, clientIp, tags, runId, callText, maxWaitMs, priority } = admission;
  const { costNanos, inputTokens, outputTokens } = bound;
  return {
    $typeName: "weir.policy.v1.Admission",
    requestId,
    keyId,
    model,
    bound: { $typeName: "weir.policy.v1.Amounts", costNanos, tokens: BigInt(inputTokens + outputTokens) },
    inputTokens,
    outputTokens,
    endUser,
    clientIp,
    tags,
    runId,
    // With the run's name, which policy keeps nowhere: from what it keeps for a day nobody can guess what was said.
    callDigest: callText === "" ? "" : hash("sha256", `${runId}\0${callText}`, "base64url"),
    priority,
    ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
  };
}

const settlementMessage = ({ requestId, attempt, keyId, charge }: Settlement): policy.Settlement => ({
  $typeName: "weir.policy.v1.Settlement",
  requestId,
  attempt,
  keyId,
  outcome: outcomeOf(charge),
  inputTokens: charge.kind === "charge" ? BigInt(charge.inputTokens) : 0n,
  outputTokens: charge.kind === "charge" ? BigInt(charge.outputTokens) : 0n,
});

function outcomeOf(charge: Charge): policy.Settlement["outcome"] {
  switch (charge.kind) {
    case "charge": {
      const { costNanos, tokens } = charge.amounts;
      return { case: "charge", value: { $typeName: "weir.policy.v1.Amounts", costNanos, tokens } };
    }
    case "void":
      return { case: "void", value: { $typeName: "weir.policy.v1.Void", notCalled: charge.notCalled } };
    case "at-bound":
      return { case: "atBound", value: { $typeName: "weir.policy.v1.AtBound" } };
  }
}

/**
 * Admissions of one tick share a call, settlements go along with them. Settlements are kept until policy has them;
 * the spool is told how far that is, so that no outcome is forgotten before its charge is safe.
 */
export class BatchedPolicy implements Admissions, AsyncDisposable {
  readonly #client: PolicyClient;
  readonly #owner: string;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #onSettledThrough: (outcomeNumber: number) => void;
  /** The highest outcome that came, and what it was at the last look. */
  #highest = 0;
  #highestBefore = 0;
  #waiting: Waiting[] = [];
  readonly #settlements: SettlementQueue;

  /** @param owner the producer whose spool records what is held */
  constructor(
    client: PolicyClient,
    owner: string,
    listeners: {
      readonly onError: (error: unknown) => void;
      readonly onDropped: SettlementListeners["onDropped"];
      /** Every outcome up to this number is settled: its record may be forgotten once it is confirmed. */
      readonly onSettledThrough: (outcomeNumber: number) => void;
    },
  ) {
    this.#client = client;
    this.#owner = owner;
    this.#onError = listeners.onError;
    this.#onSettledThrough = listeners.onSettledThrough;
    this.#settlements = new SettlementQueue(
      (settlements) =>
        client.settleBatch(
          {
            $typeName: "weir.policy.v1.SettleBatchRequest",
            owner,
            settlements: settlements.map(settlementMessage),
          },
          { timeoutMs: SETTLE_TIMEOUT_MS },
        ),
      listeners,
    );
    this.#timer = setInterval(() => this.#tellSettled(), SETTLED_EVERY_MS);
    this.#timer.unref();
  }

  /** One look behind: of outcomes written in the same tick a higher one may be told of first. */
  #tellSettled(): void {
    const through = this.#settlements.settledThrough(this.#highestBefore);
    this.#highestBefore = this.#highest;
    if (through > 0) this.#onSettledThrough(through);
  }

  /** Requests whose settlement policy does not have yet. */
  get pending(): number {
    return this.#settlements.pending;
  }

  admit(admission: Admission, signal: AbortSignal): Promise<Verdict> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ admission, signal, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => void this.#admitAll());
    });
  }

  async #admitAll(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    // Before them: what was used up to now is given back by then.
    this.#settlements.sendNow();
    for (let from = 0; from < waiting.length; from += MAX_BATCH) {
      void this.#admitSome(waiting.length <= MAX_BATCH ? waiting : waiting.slice(from, from + MAX_BATCH));
    }
  }

  async #admitSome(waiting: readonly Waiting[]): Promise<void> {
    try {
      const response = await this.#client.admitBatch(
        {
          $typeName: "weir.policy.v1.AdmitBatchRequest",
          owner: this.#owner,
          admissions: waiting.map(({ admission }) => admissionMessage(admission)),
        },
        { timeoutMs: ADMIT_TIMEOUT_MS },
      );
      waiting.forEach((one, index) => {
        const verdict = response.verdicts[index];
        if (verdict?.verdict.case === "waiting") void this.#awaitTurn(one, verdict.verdict.value.maxWaitMs);
        else this.#answer(one, verdict);
      });
    } catch (failure) {
      this.#giveBack(waiting);
      const away = this.#away(failure);
      for (const { reject } of waiting) reject(away);
    }
  }

  #answer(waiting: Waiting, verdict: policy.Verdict | undefined): void {
    if (isUnsure(verdict)) this.#giveBack([waiting]);
    waiting.resolve(verdictOf(verdict));
  }

  /** A call of its own, which ends with its client. */
  async #awaitTurn(waiting: Waiting, maxWaitMs: number): Promise<void> {
    const { admission, signal, resolve, reject } = waiting;
    const sinceMs = performance.now();
    try {
      const { verdict } = await this.#client.awaitAdmission(
        {
          $typeName: "weir.policy.v1.AwaitAdmissionRequest",
          owner: this.#owner,
          admission: admissionMessage(admission),
        },
        { signal, timeoutMs: maxWaitMs + ADMIT_TIMEOUT_MS },
      );
      if (isUnsure(verdict)) this.#giveBack([waiting]);
      resolve({ ...verdictOf(verdict), waitedMs: performance.now() - sinceMs });
    } catch (failure) {
      this.#giveBack([waiting]);
      reject(signal.aborted ? new WeirError("client_closed", "The client went away.") : this.#away(failure));
    }
  }

  /** Of a call whose answer is lost, the effect is not: what it may have taken is given back. */
  #giveBack(waiting: readonly Waiting[]): void {
    this.settle(
      waiting.map(({ admission: { requestId, keyId } }) => ({
        requestId,
        attempt: 1,
        keyId,
        charge: { kind: "void", notCalled: true },
      })),
      0,
    );
  }

  #away(failure: unknown): WeirError {
    const error = fromConnectError(failure);
    this.#onError(error);
    return new WeirError("policy_unavailable", "Limits and budgets cannot be checked right now.", {
      retryAfterMs: 1_000,
      cause: error,
    });
  }

  settle(settlements: readonly Settlement[], outcomeNumber: number): void {
    if (outcomeNumber > this.#highest) this.#highest = outcomeNumber;
    if (settlements.length > 0) this.#settlements.push(settlements, outcomeNumber);
  }

  /** Gives policy a last chance; what it does not take is settled by the next start's recovery. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#settlements.close();
    // Nobody writes any more: one look behind, and the last one.
    this.#tellSettled();
    this.#tellSettled();
  }
}
