import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { type ErasedSubject, type LivingKeys, outstanding, type StoredErasure } from "../domain/erasure.ts";
import { advanceErasures, type ErasureDependencies, eraseSubject } from "../flows/erase.ts";

type Erasures = ServiceImpl<typeof audit.ErasureService>;

export interface ErasureHandling {
  readonly erasures: ErasureDependencies;
  readonly requireAdmin: (headers: Headers) => void;
}

export const erase =
  ({ erasures, requireAdmin }: ErasureHandling): Erasures["erase"] =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const subject = subjectOf(request);
    if (request.dryRun) return { payloads: BigInt(await erasures.store.count(subject)) };
    const { reason, requestedBy } = request;
    const erased = await eraseSubject(erasures, { subject, reason, requestedBy });
    return { erasing: erasing(erased, await erasures.store.keys()), payloads: BigInt(erased.payloads) };
  };

function subjectOf({ workspaceId, subject }: audit.EraseRequest): ErasedSubject {
  switch (subject.case) {
    case "endUser":
      return { workspaceId, endUser: subject.value };
    case "keyId":
      return { workspaceId, keyId: subject.value };
    case undefined:
      throw new WeirError("invalid_request", "Name an end user or a key.", { param: "subject" });
  }
}

const DEFAULT_LISTED = 100;

export const listErasures =
  ({ erasures: { store }, requireAdmin }: ErasureHandling): Erasures["listErasures"] =>
  async ({ limit }, context) => {
    requireAdmin(context.requestHeader);
    const [found, keys] = [await store.list(limit || DEFAULT_LISTED, false), await store.keys()];
    return { erasures: found.map((one) => erasing(one, keys)) };
  };

async function known({ erasures }: ErasureHandling, id: string): Promise<StoredErasure> {
  const found = await erasures.store.find(id);
  if (found === undefined) throw new WeirError("not_found", `There is no erasure ${id}.`, { param: "id" });
  return found;
}

export const getErasure =
  (handling: ErasureHandling): Erasures["getErasure"] =>
  async ({ id }, context) => {
    handling.requireAdmin(context.requestHeader);
    const found = await known(handling, id);
    return { erasing: erasing(found, await handling.erasures.store.keys()) };
  };

const MOST_LEAVES = 100_000;

export const listErasedLeaves =
  (handling: ErasureHandling): Erasures["listErasedLeaves"] =>
  async ({ id, fromIndex, atFirst }, context) => {
    handling.requireAdmin(context.requestHeader);
    const found = await known(handling, id);
    const indexes = await handling.erasures.store.leaves(found, Number(fromIndex), MOST_LEAVES + 1, atFirst);
    return { indexes: indexes.slice(0, MOST_LEAVES).map(BigInt), more: indexes.length > MOST_LEAVES };
  };

export const advance =
  ({ erasures, requireAdmin }: ErasureHandling): Erasures["advanceErasures"] =>
  async ({ abandonedProducers }, context) => {
    requireAdmin(context.requestHeader);
    await advanceErasures(erasures, { hastened: true, abandoned: abandonedProducers });
    const { store } = erasures;
    const [pending, keys] = [await store.list(DEFAULT_LISTED, true), await store.keys()];
    return { erasures: pending.map((one) => erasing(one, keys)) };
  };

function erasing(of: StoredErasure, keys: LivingKeys): audit.Erasing {
  const complete = of.completedIndex !== undefined;
  const left = outstanding(of, keys);
  return create(audit.ErasingSchema, {
    id: of.id,
    atMs: BigInt(of.atMs),
    workspaceId: of.workspaceId,
    keyId: of.keyId,
    payloads: BigInt(of.payloads),
    index: BigInt(of.index),
    ...(of.completedIndex === undefined ? {} : { completedIndex: BigInt(of.completedIndex) }),
    completedAtMs: BigInt(of.completedAtMs ?? 0),
    transportKeys: complete ? [] : left.transportKeys.map(({ number }) => BigInt(number)),
    waitsFor: complete ? [] : [...new Set(left.transportKeys.flatMap(({ keptFor }) => keptFor))],
    keyGenerations: complete ? [] : left.generations.map(BigInt),
    reason: of.reason,
    requestedBy: of.requestedBy,
  });
}
