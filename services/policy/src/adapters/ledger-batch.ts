import type { HoldRequest, HoldVerdict, Settlement, SettlementResult } from "../domain/ledger.ts";

/** Name and text of the one statement of the hot path; prepared once per connection. */
export const APPLY_BATCH = {
  name: "apply_batch",
  text: `select results, verdicts, rooms from apply_batch($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::bigint[],
    $6::int[], $7::int[], $8::uuid[], $9::int[], $10::int[], $11::uuid[], $12::int[], $13::bigint[], $14::bigint[])`,
};

export interface BatchRow {
  readonly results: string | null;
  readonly verdicts: string | null;
  readonly rooms: string | null;
}

/** Nothing of these texts needs quoting: they are numbers, UUIDs and words. pg would quote and escape each. */
class ArrayText {
  #text = "{";

  add(value: string | number | bigint): void {
    this.#text += this.#text.length === 1 ? String(value) : `,${value}`;
  }

  toString(): string {
    return `${this.#text}}`;
  }
}

/** An owner's and a key's ids are looked up by the caller. `keyId` of a further attempt is not known and not needed. */
const NO_KEY = "00000000-0000-0000-0000-000000000000";

/** The parameters of APPLY_BATCH. Equal paths are sent once. */
export function batchValues(
  settlements: readonly Settlement[],
  holds: readonly HoldRequest[],
  ownerId: (owner: string) => number,
): string[] {
  const [sRequest, sAttempt, sKind, sCost, sTokens] = arrays(5);
  const [pEnd, pBudget, hRequest, hAttempt, hOwner, hKey, hPath, hCost, hTokens] = arrays(9);
  for (const { requestId, attempt, outcome } of settlements) {
    sRequest.add(requestId);
    sAttempt.add(attempt);
    const charge = typeof outcome === "string" ? undefined : outcome;
    sKind.add(typeof outcome === "string" ? outcome : "charge");
    sCost.add(charge?.costNanos ?? 0);
    sTokens.add(charge?.tokens ?? 0);
  }
  // A key's list of budgets is one object for as long as the key does not change: compared as such.
  const paths = new Map<readonly number[], number>();
  let end = 0;
  for (const { requestId, attempt, owner, place, bound } of holds) {
    let path = 0;
    if (place !== undefined) {
      path = paths.get(place.budgetIds) ?? 0;
      if (path === 0) {
        path = paths.size + 1;
        paths.set(place.budgetIds, path);
        for (const id of place.budgetIds) pBudget.add(id);
        end += place.budgetIds.length;
        pEnd.add(end);
      }
    }
    hRequest.add(requestId);
    hAttempt.add(attempt);
    hOwner.add(ownerId(owner));
    hKey.add(place?.keyId ?? NO_KEY);
    hPath.add(path);
    hCost.add(bound.costNanos);
    hTokens.add(bound.tokens);
  }
  return [
    sRequest,
    sAttempt,
    sKind,
    sCost,
    sTokens,
    pEnd,
    pBudget,
    hRequest,
    hAttempt,
    hOwner,
    hKey,
    hPath,
    hCost,
    hTokens,
  ].map(String);
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

export function readResults(row: BatchRow): SettlementResult[] {
  if (row.results === null || row.results === "") return [];
  return row.results.split(",").map((code) => {
    const result = RESULTS[code];
    if (result === undefined) throw new Error(`apply_batch gave the result ${code}`);
    return result;
  });
}

export function readVerdicts(row: BatchRow): HoldVerdict[] {
  if (row.verdicts === null) return [];
  const rooms = row.rooms?.split(",") ?? [];
  return row.verdicts.split(",").map((code, index) => {
    const verdict = VERDICTS[code];
    if (verdict !== undefined) return verdict;
    const room = rooms[index] ?? "-";
    return { kind: "refused", budgetId: Number(code), room: room === "-" ? undefined : BigInt(room) };
  });
}
