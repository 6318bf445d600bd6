import { create } from "@bufbuild/protobuf";
import { common, policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { type Amounts, bookable } from "../domain/amounts.ts";
import type { AttributePolicy, KeyPolicy } from "../domain/key-policy.ts";
import type { Settlement, SettlementResult } from "../domain/ledger.ts";
import type { LimitState } from "../domain/limits.ts";
import { anyBudgetOf, limitFactsOf } from "../domain/path.ts";
import type { Admission, AdmissionVerdict } from "../domain/admission.ts";
import type { KeyedSettlement } from "../flows/settle.ts";
import type { WatchEvent, WorkspaceAttributes } from "../flows/watch-feed.ts";
import { PAYLOADS, rulesToWire } from "./convert-rules.ts";
import { SCOPES } from "./convert-terms.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @throws WeirError: ids go into SQL arrays and Redis keys as they are */
export function checkedId(id: string, param: string): string {
  if (UUID.test(id)) return id;
  throw new WeirError("invalid_request", "An id is a UUID.", { param });
}

export function checkedOwner(owner: string, param = "owner"): string {
  if (owner.length >= 1 && owner.length <= 256 && !owner.includes("\0")) return owner;
  throw new WeirError("invalid_request", "An owner has 1 to 256 characters.", { param });
}

export function checkedAttempt(attempt: number, least: number): number {
  if (Number.isInteger(attempt) && attempt >= least && attempt <= 1_000_000) return attempt;
  throw new WeirError("invalid_request", `An attempt here is a number from ${least}.`, { param: "attempt" });
}

export function amounts(message: policy.Amounts | undefined, param: string): Amounts {
  if (message === undefined) throw new WeirError("invalid_request", "The amounts are missing.", { param });
  return message;
}

export const admission = (message: policy.Admission): Admission => ({
  requestId: checkedId(message.requestId, "request_id"),
  keyId: checkedId(message.keyId, "key_id"),
  model: message.model,
  endUser: message.endUser,
  clientIp: message.clientIp,
  tags: message.tags,
  bound: amounts(message.bound, "bound"),
  inputTokens: message.inputTokens,
  outputTokens: message.outputTokens,
  maxWaitMs: message.maxWaitMs,
  priority: message.priority,
  runId: message.runId,
  callDigest: message.callDigest,
});

// Plain objects with their type's name are messages: for the one per request create() would cost more than its admission.
const ADMITTED = {
  held: { case: "admitted", value: { $typeName: "weir.policy.v1.Admitted", held: true } },
  free: { case: "admitted", value: { $typeName: "weir.policy.v1.Admitted", held: false } },
} as const satisfies Record<string, policy.Verdict["verdict"]>;

export function verdictToWire(verdict: AdmissionVerdict): policy.Verdict {
  const limits = verdict.limits.map(limitStateToWire);
  if (verdict.kind !== "admitted") return create(policy.VerdictSchema, { verdict: decisionToWire(verdict), limits });
  return { $typeName: "weir.policy.v1.Verdict", verdict: verdict.held ? ADMITTED.held : ADMITTED.free, limits };
}

export function extendToWire(verdict: AdmissionVerdict): policy.ExtendResponse {
  if (verdict.kind === "waiting") throw new Error("no attempt waits");
  return create(policy.ExtendResponseSchema, { verdict: decidedToWire(verdict) });
}

const decisionToWire = (verdict: AdmissionVerdict) =>
  verdict.kind === "waiting"
    ? ({ case: "waiting", value: { maxWaitMs: Math.ceil(verdict.maxWaitMs) } } as const)
    : decidedToWire(verdict);

const decidedToWire = (verdict: Exclude<AdmissionVerdict, { kind: "waiting" }>) =>
  verdict.kind === "admitted"
    ? ({ case: "admitted", value: { held: verdict.held } } as const)
    : ({
        case: "refused",
        value: { error: errorToWire(verdict.error), rule: verdict.rule, mayBeHeld: verdict.mayBeHeld ?? false },
      } as const);

export function errorToWire(error: WeirError) {
  const name = error.reason.toUpperCase() as keyof typeof common.ErrorReason;
  const retryAfterMs = Math.min(0xffffffff, Math.ceil(error.retryAfterMs ?? 0));
  return { reason: common.ErrorReason[name], message: error.message, retryAfterMs, param: error.param ?? "" };
}

export const limitStateToWire = (state: LimitState): policy.LimitState => ({
  $typeName: "weir.policy.v1.LimitState",
  unit: state.unit,
  limit: BigInt(state.limit),
  remaining: BigInt(state.remaining),
  resetMs: BigInt(state.resetMs),
  windowMs: BigInt(state.windowMs),
  name: state.name,
});

export function settlement(message: policy.Settlement): KeyedSettlement {
  return {
    requestId: checkedId(message.requestId, "request_id"),
    attempt: checkedAttempt(message.attempt, 1),
    keyId: message.keyId,
    outcome: outcome(message.outcome),
    parts:
      message.inputTokens === 0n && message.outputTokens === 0n
        ? undefined
        : { input: Number(message.inputTokens), output: Number(message.outputTokens) },
    notCalled: message.outcome.case === "void" && message.outcome.value.notCalled,
  };
}

function outcome(message: policy.Settlement["outcome"]): Settlement["outcome"] {
  switch (message.case) {
    case "charge":
      return bookable(message.value);
    case "void":
      return "void";
    case "atBound":
      return "at-bound";
    case undefined:
      throw new WeirError("invalid_request", "A settlement has an outcome.", { param: "outcome" });
  }
}

const RESULTS: Record<SettlementResult["kind"], policy.SettlementResult> = {
  settled: policy.SettlementResult.SETTLED,
  duplicate: policy.SettlementResult.DUPLICATE,
  "unknown-hold": policy.SettlementResult.UNKNOWN_HOLD,
  credited: policy.SettlementResult.CREDITED,
};

export const resultToWire = (result: SettlementResult): policy.SettlementResult => RESULTS[result.kind];

export function watchEventToWire(event: WatchEvent): policy.WatchResponse {
  return create(policy.WatchResponseSchema, { version: BigInt(event.version), event: watchCase(event) });
}

function watchCase(event: WatchEvent) {
  switch (event.kind) {
    case "snapshot": {
      const { keys, workspaces, first, complete, ended } = event;
      const value = create(policy.SnapshotSchema, {
        keys: keys.map(keyViewToWire),
        workspaces: workspaces.map(workspaceViewToWire),
        first,
        complete,
        endedKeyIds: [...ended],
      });
      return { case: "snapshot", value } as const;
    }
    case "key":
      return { case: "key", value: keyViewToWire(event.key) } as const;
    case "workspace":
      return { case: "workspace", value: workspaceViewToWire(event.workspace) } as const;
    case "removed":
      return {
        case: "removedKey",
        value: create(policy.RemovedKeySchema, { keyId: event.keyId, endRequests: event.endRequests }),
      } as const;
    case "beat":
      return { case: "beat", value: create(policy.BeatSchema) } as const;
    case "store-away": {
      const value = create(policy.StoreAwaySchema, { forMs: BigInt(Math.ceil(event.forMs)) });
      return { case: "storeAway", value } as const;
    }
  }
}

const workspaceViewToWire = ({ workspaceId, attributes }: WorkspaceAttributes) =>
  create(policy.WorkspaceViewSchema, { workspaceId, attributes: attributes?.all.map(attributeViewToWire) ?? [] });

const attributeViewToWire = ({ kind, name, value, rules, budgets, limits }: AttributePolicy) =>
  create(policy.AttributeViewSchema, {
    attribute:
      kind === "end-user"
        ? { case: "endUser", value: name }
        : { case: "tag", value: create(policy.TagSchema, { name, value }) },
    rules: rulesToWire(rules),
    hasHardBudget: budgets.some((budget) => budget.hard),
    hasBudget: budgets.length > 0,
    hasLimit: limits.length > 0,
    hasConcurrencyLimit: limits.some(({ unit }) => unit === "concurrency"),
  });

const keyViewToWire = (key: KeyPolicy) =>
  create(policy.KeyViewSchema, {
    keyId: key.keyId,
    hash: key.hash,
    organizationId: key.organizationId,
    workspaceId: key.workspaceId,
    workspace: key.workspace,
    projectId: key.projectId,
    name: key.name,
    expiresAtMs: BigInt(key.expiresAtMs ?? 0),
    scopes: key.scopes.map(SCOPES.toWire),
    rules: rulesToWire(key.rules),
    hasHardBudget: key.budgets.some((budget) => budget.hard),
    hasBudget: key.budgets.length > 0,
    hasLimit: key.limits.length > 0,
    payloadChoice: PAYLOADS.toWire(key.payloads),
    hasConcurrencyLimit: limitFactsOf(key).slots,
    hasProviderLimit: limitFactsOf(key).provider !== "none",
    providerLimitFailsClosed: limitFactsOf(key).provider === "fail-closed",
    retiredSecrets: key.retired.map(({ hash, expiresAtMs }) => ({ hash, expiresAtMs: BigInt(expiresAtMs) })),
    endUser: key.endUser,
    countsCalls: anyBudgetOf(key).some(({ maxIdenticalCalls }) => maxIdenticalCalls !== undefined),
  });
