/**
 * History by other prices. The log is read as it was at the start; the result is stored beside it, wholly or not at all: whoever goes away
 * before the end leaves nothing behind.
 */
import { uuidv7 } from "@weir/kernel";
import {
  recordedCost,
  repricedCost,
  RepricingSums,
  type RepricingTotal,
  Sheet,
  type SheetPrice,
} from "../domain/repricing.ts";
import type { RepricingStore } from "../ports.ts";

export interface RepriceRequest {
  /** "": all. */
  readonly workspaceId: string;
  readonly fromMs: number;
  /** Exclusive; 0: now. */
  readonly toMs: number;
  readonly version: string;
  readonly prices: readonly SheetPrice[];
  readonly byDay: boolean;
  readonly dryRun: boolean;
}

export interface RepricingFacts extends RepricingTotal {
  /** "": it is not stored. */
  readonly id: string;
  readonly atMs: number;
  readonly version: string;
  readonly workspaceId: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export type RepriceStep =
  | { readonly kind: "progress"; readonly records: bigint }
  | { readonly kind: "done"; readonly result: RepricingFacts };

const PAGE = 1_000;

export interface RepriceDependencies {
  readonly store: RepricingStore;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

/** @param encode the sheet and the result as they are stored */
export async function* reprice(
  { store, nowMs, randomBytes }: RepriceDependencies,
  request: RepriceRequest,
  encode: { readonly sheet: () => Uint8Array; readonly result: (result: RepricingFacts) => Uint8Array },
): AsyncGenerator<RepriceStep, void, undefined> {
  const { workspaceId, fromMs, dryRun, version } = request;
  const atMs = nowMs();
  const toMs = request.toMs === 0 ? atMs : request.toMs;
  const id = uuidv7(atMs, randomBytes(10));
  const sheet = new Sheet(request.prices);
  const sums = new RepricingSums(request.byDay);
  await using run = await store.open();
  let after: number | undefined;
  for (;;) {
    const page = await run.calls({ workspaceId, fromMs, toMs }, after, PAGE);
    const entries: { index: number; recordedNanos: bigint; repricedNanos: bigint }[] = [];
    for (const call of page.calls) {
      const repriced = repricedCost(call, sheet);
      sums.add(call, call.attempts.length === 0 ? undefined : repriced);
      if (repriced !== undefined && call.attempts.length > 0)
        entries.push({ index: call.index, recordedNanos: recordedCost(call), repricedNanos: repriced });
    }
    if (!dryRun && entries.length > 0) await run.add(id, entries);
    after = page.last;
    if (after === undefined) break;
    yield { kind: "progress", records: sums.records };
  }
  const result: RepricingFacts = { id: dryRun ? "" : id, atMs, version, workspaceId, fromMs, toMs, ...sums.total() };
  if (!dryRun) await run.finish({ ...result, sheet: encode.sheet(), result: encode.result(result) });
  yield { kind: "done", result };
}
