import type { HoldName, Settlement } from "../domain/ledger.ts";
import type { Ledger } from "../ports.ts";
import { type KeyedSettlement, settle, type SettleDependencies } from "./settle.ts";

export interface Recovered {
  readonly voided: number;
  readonly chargedAtBound: number;
  readonly settled: number;
}

const PER_BATCH = 512;

/**
 * Ends what a dead owner left: its outcomes are settled; of what is then still held, requests with an intent may have been billed and
 * are charged at their bound, the others never left the house and are given back. Safe to repeat, also after it broke off.
 * @param openRequests those with an intent and no outcome
 */
export async function recover(
  dependencies: SettleDependencies,
  owner: string,
  openRequests: ReadonlySet<string>,
  settlements: readonly KeyedSettlement[],
): Promise<Recovered> {
  const { ledger } = dependencies;
  // First, so that nothing can be held for it after the open holds were listed.
  await ledger.fence(owner);
  let settled = 0;
  for (const batch of batches(settlements)) {
    const results = await settle(dependencies, batch);
    settled += results.filter(({ kind }) => kind === "settled" || kind === "credited").length;
  }
  const open = await ledger.openHolds(owner);
  const [voided, chargedAtBound] = [
    await settleAll(
      ledger,
      open.filter(({ requestId }) => !openRequests.has(requestId)),
      "void",
    ),
    await settleAll(
      ledger,
      open.filter(({ requestId }) => openRequests.has(requestId)),
      "at-bound",
    ),
  ];
  return { voided, chargedAtBound, settled };
}

async function settleAll(ledger: Ledger, names: readonly HoldName[], outcome: "void" | "at-bound"): Promise<number> {
  let count = 0;
  for (const batch of batches(names)) {
    const results = await ledger.settle(batch.map((name): Settlement => ({ ...name, outcome })));
    count += results.filter(({ kind }) => kind === "settled").length;
  }
  return count;
}

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += PER_BATCH) yield items.slice(at, at + PER_BATCH);
}
