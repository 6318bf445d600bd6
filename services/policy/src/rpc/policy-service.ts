import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { type Clock, WeirError } from "@weir/kernel";
import { admit, type AdmitDependencies, awaitAdmission, extend } from "../flows/admit.ts";
import type { Directory } from "../flows/directory.ts";
import type { DirectorySync } from "../flows/directory-sync.ts";
import type { KeyUses } from "../flows/key-uses.ts";
import { recover } from "../flows/recover.ts";
import { renewSlots } from "../flows/renew-slots.ts";
import { settle, type SettleDependencies } from "../flows/settle.ts";
import { watch } from "../flows/watch-feed.ts";
import * as convert from "./convert.ts";

export interface PolicyDependencies {
  readonly admit: AdmitDependencies;
  readonly settle: SettleDependencies;
  readonly directory: Directory;
  readonly sync: DirectorySync;
  readonly clock: Clock;
  readonly uses: Pick<KeyUses, "add">;
  /** Aborted when the service ends: watchers must not keep it. */
  readonly ending: AbortSignal;
}

const MOST_PER_BATCH = 4096;

export function policyService(dependencies: PolicyDependencies): ServiceImpl<typeof policy.PolicyService> {
  const { directory, sync, clock } = dependencies;
  return {
    async admitBatch(request) {
      const owner = convert.checkedOwner(request.owner);
      checkSize(request.admissions.length, "admissions");
      const verdicts = await admit(dependencies.admit, owner, request.admissions.map(convert.admission));
      return { $typeName: "weir.policy.v1.AdmitBatchResponse", verdicts: verdicts.map(convert.verdictToWire) };
    },

    async awaitAdmission(request, context) {
      const owner = convert.checkedOwner(request.owner);
      if (request.admission === undefined)
        throw new WeirError("invalid_request", "There is no admission.", { param: "admission" });
      const admission = convert.admission(request.admission);
      const verdict = await awaitAdmission(dependencies.admit, owner, admission, context.signal);
      return create(policy.AwaitAdmissionResponseSchema, { verdict: convert.verdictToWire(verdict) });
    },

    async renewSlots(request) {
      checkSize(request.requestIds.length, "request_ids");
      await renewSlots(
        dependencies.admit.limiter,
        request.requestIds.map((id) => convert.checkedId(id, "request_ids")),
      );
      return create(policy.RenewSlotsResponseSchema);
    },

    async settleBatch(request) {
      checkSize(request.settlements.length, "settlements");
      const results = await settle(dependencies.settle, request.settlements.map(convert.settlement));
      return { $typeName: "weir.policy.v1.SettleBatchResponse", results: results.map(convert.resultToWire) };
    },

    async extend(request) {
      const { owner, keyId, provider, inputTokens, outputTokens } = request;
      const attempt = {
        // Of whom nothing is held, no owner is needed.
        owner: owner === "" && provider !== "" ? "" : convert.checkedOwner(owner),
        requestId: convert.checkedId(request.requestId, "request_id"),
        attempt: convert.checkedAttempt(request.attempt, provider === "" ? 2 : 1),
        bound: convert.amounts(request.bound, "bound"),
        keyId,
        provider,
        inputTokens,
        outputTokens,
      };
      return convert.extendToWire(await extend(dependencies.admit, attempt, directory.key(keyId)));
    },

    async recover(request) {
      const open = new Set(request.open.map(({ requestId }) => convert.checkedId(requestId, "open.request_id")));
      const owner = convert.checkedOwner(request.deadOwner, "dead_owner");
      const settlements = request.settlements.map(convert.settlement);
      return create(policy.RecoverResponseSchema, await recover(dependencies.settle, owner, open, settlements));
    },

    async reportUse(request) {
      checkSize(request.uses.length, "uses");
      dependencies.uses.add(
        request.uses.map(({ keyId, atMs }) => ({ keyId: convert.checkedId(keyId, "uses.key_id"), atMs: Number(atMs) })),
      );
      return create(policy.ReportUseResponseSchema);
    },

    async *watch(request, context) {
      const signal = AbortSignal.any([context.signal, dependencies.ending]);
      const since = Number(request.sinceVersion);
      for await (const event of watch(directory, sync, clock, since, signal)) yield convert.watchEventToWire(event);
      if (!context.signal.aborted) throw new WeirError("shutting_down", "Policy is stopping; watch another instance.");
    },
  };
}

function checkSize(size: number, param: string): void {
  if (size >= 1 && size <= MOST_PER_BATCH) return;
  throw new WeirError("invalid_request", `A batch has 1 to ${MOST_PER_BATCH} items.`, { param });
}
