import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { uuidv7, WeirError } from "@weir/kernel";
import type { LegalHold, Removal, RetentionPolicy } from "../domain/retention.ts";
import { retainAll } from "../flows/retain.ts";
import type { HoldStore, RetentionStore } from "../ports.ts";

type Retention = ServiceImpl<typeof audit.RetentionService>;

export interface RetentionHandling {
  readonly retention: RetentionStore & HoldStore;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly requireAdmin: (headers: Headers) => void;
}

export const retentionRpc = ({ retention, nowMs, randomBytes, requireAdmin }: RetentionHandling): Retention => ({
  async setRetention({ workspaceId, inherits, recordsMs, payloadsMs }, context) {
    requireAdmin(context.requestHeader);
    if (inherits && (workspaceId === "" || recordsMs > 0n || payloadsMs > 0n)) {
      throw new WeirError("invalid_request", "Only a workspace inherits, and then it states no times.", {
        param: "inherits",
      });
    }
    const times = inherits ? "inherit" : { recordsMs: kept(recordsMs), payloadsMs: kept(payloadsMs) };
    return { state: policyState(await retention.setPolicy(workspaceId, times)) };
  },
  async listRetention(_, context) {
    requireAdmin(context.requestHeader);
    return { states: (await retention.policies()).map(policyState) };
  },
  async *runRetention({ workspaceId, dryRun }, context) {
    requireAdmin(context.requestHeader);
    const of = { workspaceId: workspaceId === "" ? undefined : workspaceId, dryRun };
    for await (const removal of retainAll(retention, of)) {
      yield removalMessage(removal);
      if (context.signal.aborted) return;
    }
  },
  async placeLegalHold({ workspaceId, keyId, fromMs, toMs, reason }, context) {
    requireAdmin(context.requestHeader);
    const scope = { workspaceId, keyId, fromMs: Number(fromMs), toMs: Number(toMs) };
    return { hold: holdState(await retention.place(uuidv7(nowMs(), randomBytes(10)), scope, reason)) };
  },
  async releaseLegalHold({ id, reason }, context) {
    requireAdmin(context.requestHeader);
    return { hold: holdState(await retention.release(id, reason)) };
  },
  async listLegalHolds({ includeReleased }, context) {
    requireAdmin(context.requestHeader);
    return { holds: (await retention.list(includeReleased)).map(holdState) };
  },
});

const LEAST_MS = 60_000n;

function kept(ms: bigint): number {
  if (ms > 0n && ms < LEAST_MS) {
    throw new WeirError("invalid_request", "The shortest time to keep something is a minute; 0 keeps it for ever.");
  }
  return Number(ms);
}

const policyState = ({ effective, index, ...policy }: RetentionPolicy): audit.RetentionState =>
  create(audit.RetentionStateSchema, {
    policy: {
      workspaceId: policy.workspaceId,
      inherits: policy.inherits,
      atMs: BigInt(policy.sinceMs),
      recordsMs: BigInt(policy.recordsMs),
      payloadsMs: BigInt(policy.payloadsMs),
    },
    index: BigInt(index),
    effectiveRecordsMs: BigInt(effective.recordsMs),
    effectivePayloadsMs: BigInt(effective.payloadsMs),
  });

const SUBJECTS = { records: audit.RetentionSubject.RECORDS, payloads: audit.RetentionSubject.PAYLOADS };

const removalMessage = (removal: Removal): audit.RunRetentionResponse =>
  create(audit.RunRetentionResponseSchema, {
    subject: SUBJECTS[removal.subject],
    workspaceId: removal.workspaceId,
    count: BigInt(removal.count),
    firstIndex: BigInt(removal.firstIndex),
    lastIndex: BigInt(removal.lastIndex),
    index: BigInt(removal.index ?? 0),
  });

const holdState = ({ release, index, atMs, fromMs, toMs, ...hold }: LegalHold): audit.LegalHoldState =>
  create(audit.LegalHoldStateSchema, {
    hold: { ...hold, atMs: BigInt(atMs), fromMs: BigInt(fromMs), toMs: BigInt(toMs) },
    index: BigInt(index),
    ...(release === undefined
      ? {}
      : {
          release: { atMs: BigInt(release.atMs), id: hold.id, workspaceId: hold.workspaceId, reason: release.reason },
          releaseIndex: BigInt(release.index),
        }),
  });
