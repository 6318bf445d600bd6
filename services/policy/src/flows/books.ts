/** What operators do with the books. Each change is written down, with who asked for it and why, before it is made. */
import type { Caller } from "../domain/authority.ts";
import type { Amounts } from "../domain/amounts.ts";
import type { SettlementResult } from "../domain/ledger.ts";
import type { Books, Ledger } from "../ports.ts";
import { recover } from "./recover.ts";
import type { SettleDependencies } from "./settle.ts";

export interface BooksDependencies {
  readonly books: Books;
  readonly ledger: Ledger;
  readonly settle: SettleDependencies;
}

const NOTHING: Amounts = { costNanos: 0n, tokens: 0n };
const nameOf = (caller: Caller): string => (caller.kind === "operator" ? "operator" : caller.key.keyId);

/** Nobody knows what its requests became, so each is charged at its bound. @returns how many */
export async function endOwner(
  { books, ledger, settle }: BooksDependencies,
  caller: Caller,
  owner: string,
  note: string,
): Promise<number> {
  await books.note({ by: nameOf(caller), subject: { owner }, charged: NOTHING, note });
  await ledger.fence(owner);
  const open = await ledger.openHolds(owner);
  const recovered = await recover(settle, owner, new Set(open.map(({ requestId }) => requestId)), []);
  return recovered.chargedAtBound;
}

/** Only what was charged at its bound can be resolved; everything else has its settlement, or will have it from its owner. */
export async function resolveCharge(
  { books, ledger, settle }: BooksDependencies,
  caller: Caller,
  asked: {
    readonly requestId: string;
    readonly attempt: number;
    readonly outcome: "void" | Amounts;
    readonly note: string;
  },
): Promise<SettlementResult["kind"]> {
  const { requestId, attempt, outcome, note } = asked;
  const [charge] = await books.unresolved({ after: before(requestId, attempt), most: 1 });
  if (charge?.requestId !== requestId.toLowerCase() || charge.attempt !== attempt) return "unknown-hold";
  const charged = outcome === "void" ? NOTHING : outcome;
  await books.note({ by: nameOf(caller), subject: { requestId, attempt }, charged, note });
  const [result] = await ledger.settle([{ requestId, attempt, outcome }]);
  if (result?.aboveBound === true) settle.onAboveBound({ requestId, attempt, outcome });
  return result?.kind ?? "unknown-hold";
}

const before = (requestId: string, attempt: number) => ({ requestId, attempt: attempt - 1 });
