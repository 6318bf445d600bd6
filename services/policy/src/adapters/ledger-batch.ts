import type { HeldEntry, Period, Totals } from "../domain/entries.ts";
import type { HoldRequest, HoldVerdict, Settlement, SettlementResult } from "../domain/ledger.ts";

/** Name and text of the one statement of the hot path; prepared once per connection. */
export const APPLY_BATCH = {
  name: "apply_batch",
  text: `select results, verdicts, rooms from apply_batch($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::boolean[],
    $6::uuid[], $7::int[], $8::text[], $9::bigint[], $10::bigint[], $11::int[], $12::int[],
    $13::uuid[], $14::int[], $15::int[], $16::uuid[], $17::int[], $18::bigint[], $19::bigint[], $20::int[], $21::int[], $22::text[])`,
};

export interface BatchRow {
  readonly results: string | null;
  readonly verdicts: string | null;
  readonly rooms: string | null;
}

/** Nothing of these texts needs quoting: they are numbers, UUIDs, words and digests. pg would quote and escape each. */
class ArrayText {
  #text = "{";

  add(value: string | number | bigint): void {
    this.#text += this.#text.length === 1 ? String(value) : `,${value}`;
  }

  toString(): string {
    return `${this.#text}}`;
  }
}

/** `keyId` of a further attempt is not known and not needed. */
const NO_KEY = "00000000-0000-0000-0000-000000000000";

export interface Batch {
  readonly settlements: readonly Settlement[];
  /** The hold of each settlement; undefined where it is not known. */
  readonly entries: readonly (HeldEntry | undefined)[];
  readonly holds: readonly HoldRequest[];
  /** Of each hold; undefined for a further attempt. Equal paths that are one object are sent once. */
  readonly paths: readonly (readonly Period[] | undefined)[];
  /** Undefined: something is not known, so item by item. */
  readonly totals: Totals | undefined;
  readonly ownerId: (owner: string) => number;
}

/** The parameters of APPLY_BATCH. */
export function batchValues({ settlements, entries, holds, paths, totals, ownerId }: Batch): (string | null)[] {
  const [tPeriod, tHeld, tSpent, tTakes] = arrays(4);
  for (const [id, { held, spent, takes }] of totals?.inOrder() ?? []) {
    tPeriod.add(id);
    tHeld.add(held);
    tSpent.add(spent);
    tTakes.add(takes ? "t" : "f");
  }
  const [sRequest, sAttempt, sKind, sCost, sTokens] = arrays(5);
  for (let at = 0; at < settlements.length; at++) {
    const { requestId, attempt, outcome } = settlements[at] as Settlement;
    const charge = outcome === "at-bound" ? entries[at]?.bound : outcome === "void" ? undefined : outcome;
    sRequest.add(requestId);
    sAttempt.add(attempt);
    sKind.add(typeof outcome === "string" ? outcome : "charge");
    sCost.add(charge?.costNanos ?? 0);
    sTokens.add(charge?.tokens ?? 0);
  }
  const [owners, pEnd, pPeriod, hRequest, hAttempt, hOwner, hKey, hPath, hCost, hTokens] = arrays(10);
  const [cHold, cPeriod, cDigest] = arrays(3);
  const numbers = new Map<readonly Period[], number>();
  const distinct = new Set<number>();
  let end = 0;
  for (let at = 0; at < holds.length; at++) {
    const { requestId, attempt, owner, place, bound } = holds[at] as HoldRequest;
    const path = paths[at];
    let number = 0;
    if (path !== undefined) {
      number = numbers.get(path) ?? 0;
      if (number === 0) {
        number = numbers.size + 1;
        numbers.set(path, number);
        for (const { id } of path) pPeriod.add(id);
        end += path.length;
        pEnd.add(end);
      }
    }
    const ownedBy = ownerId(owner);
    distinct.add(ownedBy);
    hRequest.add(requestId);
    hAttempt.add(attempt);
    hOwner.add(ownedBy);
    hKey.add(place?.keyId ?? NO_KEY);
    hPath.add(number);
    hCost.add(bound.costNanos);
    hTokens.add(bound.tokens);
    const call = place?.call;
    if (call === undefined || path === undefined) continue;
    for (const index of call.counted) {
      cHold.add(at + 1);
      cPeriod.add((path[index] as Period).id);
      cDigest.add(call.digest);
    }
  }
  for (const owner of distinct) owners.add(owner);
  const values: (string | null)[] = [owners, tPeriod, tHeld, tSpent, tTakes, sRequest, sAttempt, sKind, sCost, sTokens]
    .concat([pEnd, pPeriod, hRequest, hAttempt, hOwner, hKey, hPath, hCost, hTokens, cHold, cPeriod, cDigest])
    .map(String);
  if (totals === undefined) values.fill(null, 1, 5);
  return values;
}

type Tuple<T, N extends number, R extends T[] = []> = R["length"] extends N ? R : Tuple<T, N, [T, ...R]>;
const arrays = <N extends number>(count: N): Tuple<ArrayText, N> =>
  Array.from({ length: count }, () => new ArrayText()) as Tuple<ArrayText, N>;

const RESULTS: Record<string, SettlementResult> = {
  1: { kind: "settled", aboveBound: false },
  2: { kind: "duplicate", aboveBound: false },
  3: { kind: "unknown-hold", aboveBound: false },
  4: { kind: "credited", aboveBound: false },
  5: { kind: "settled", aboveBound: true },
  6: { kind: "credited", aboveBound: true },
};

const VERDICTS: Record<string, HoldVerdict> = {
  // Held now, or held before by this very request.
  0: { kind: "held" },
  "-1": { kind: "held" },
  "-2": { kind: "already-settled" },
  "-3": { kind: "dead-owner" },
  "-4": { kind: "nothing-to-hold" },
};

/** A period of a path is over: nothing was done. */
export const isStale = (row: BatchRow): boolean => row.results === "stale";

/** Its totals were right: everything was settled and held, and it says no more. */
export const isWhole = (row: BatchRow): boolean => row.results === null && row.verdicts === null;

const SETTLED: SettlementResult = { kind: "settled", aboveBound: false };
const HELD: HoldVerdict = { kind: "held" };

const REPEATED = "-5";

export function readResults(row: BatchRow, { settlements }: Batch): SettlementResult[] {
  if (isWhole(row)) return settlements.map(() => SETTLED);
  if (row.results === null || row.results === "") return [];
  return row.results.split(",").map((code) => {
    const result = RESULTS[code];
    if (result === undefined) throw new Error(`apply_batch gave the result ${code}`);
    return result;
  });
}

export function readVerdicts(row: BatchRow, { holds }: Batch): HoldVerdict[] {
  if (isWhole(row)) return holds.map(() => HELD);
  if (row.verdicts === null) return [];
  const rooms = row.rooms?.split(",") ?? [];
  return row.verdicts.split(",").map((code, index) => {
    const verdict = VERDICTS[code];
    if (verdict !== undefined) return verdict;
    const room = rooms[index] ?? "-";
    if (code === REPEATED) return { kind: "repeated", budgetId: Number(room) };
    return { kind: "refused", budgetId: Number(code), room: room === "-" ? undefined : BigInt(room) };
  });
}
