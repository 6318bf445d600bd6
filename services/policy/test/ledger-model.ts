import type { Amounts } from "../src/domain/amounts.ts";
import type { BudgetUnit } from "../src/domain/key-policy.ts";
import type { HoldRequest, HoldVerdict, Settlement, SettlementResult } from "../src/domain/ledger.ts";

interface ModelBudget {
  readonly id: number;
  readonly unit: BudgetUnit;
  readonly limit: bigint;
  readonly hard: boolean;
  readonly maxIdenticalCalls: number | undefined;
  closed: boolean;
  readonly periods: Map<string, ModelPeriod>;
}

/** Of a budget, for one subject. */
interface ModelPeriod {
  readonly budget: ModelBudget;
  held: bigint;
  spent: bigint;
  readonly calls: Map<string, number>;
}

interface ModelHold {
  readonly owner: string;
  readonly path: readonly ModelPeriod[];
  readonly bound: Amounts;
}

type Paid = { readonly kind: "charge" | "void" | "at-bound"; credited: boolean };

const nameOf = (one: { requestId: string; attempt: number }): string => `${one.requestId}/${one.attempt}`;
const amountOf = (unit: BudgetUnit, amounts: Amounts, requests: bigint): bigint =>
  unit === "nano-usd" ? amounts.costNanos : unit === "tokens" ? amounts.tokens : requests;
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const NOTHING: Amounts = { costNanos: 0n, tokens: 0n };

/** What the ledger must do, one thing after the other, written without a thought for SQL, batches or speed. */
export class LedgerModel {
  readonly budgets: ModelBudget[] = [];
  readonly #holds = new Map<string, ModelHold>();
  readonly #paid = new Map<string, Paid>();
  readonly #dead = new Set<string>();

  budget(id: number, unit: BudgetUnit, limit: bigint, hard: boolean, maxIdenticalCalls?: number): void {
    this.budgets.push({ id, unit, limit, hard, maxIdenticalCalls, closed: false, periods: new Map() });
  }

  #period(id: number, subject: string): ModelPeriod {
    const budget = this.budgets.find((one) => one.id === id) as ModelBudget;
    const known = budget.periods.get(subject);
    if (known !== undefined) return known;
    const period = { budget, held: 0n, spent: 0n, calls: new Map() };
    budget.periods.set(subject, period);
    return period;
  }

  /** Over all subjects of a budget. */
  sums(budget: ModelBudget): { held: bigint; spent: bigint; closed: boolean } {
    const periods = [...budget.periods.values()];
    return {
      held: periods.reduce((sum, { held }) => sum + held, 0n),
      spent: periods.reduce((sum, { spent }) => sum + spent, 0n),
      closed: budget.closed,
    };
  }

  fence(owner: string): void {
    this.#dead.add(owner);
  }

  openHolds(owner: string): string[] {
    return [...this.#holds]
      .filter(([name, hold]) => hold.owner === owner && !this.#paid.has(name))
      .map(([name]) => name);
  }

  hold(request: HoldRequest): HoldVerdict {
    const name = nameOf(request);
    const { place } = request;
    const path =
      place === undefined
        ? this.#holds.get(`${request.requestId}/1`)?.path
        : place.budgetIds.map((id, at) => this.#period(id, place.subjects?.[at] ?? ""));
    if (this.#paid.has(name)) return { kind: "already-settled" };
    if (this.#holds.has(name)) return { kind: "held" };
    if (request.attempt > 1 && this.#paid.has(`${request.requestId}/1`)) return { kind: "already-settled" };
    if (this.#dead.has(request.owner)) return { kind: "dead-owner" };
    if (path === undefined) return { kind: "nothing-to-hold" };
    const counted = (place?.call?.counted ?? []).map((at) => path[at] as ModelPeriod);
    for (const { budget, held, spent } of path) {
      const room = budget.limit - held - spent;
      if (!budget.hard) continue;
      if (budget.closed) return { kind: "refused", budgetId: budget.id, room: undefined };
      if (room < amountOf(budget.unit, request.bound, 1n)) return { kind: "refused", budgetId: budget.id, room };
    }
    const digest = place?.call?.digest ?? "";
    for (const { budget, calls } of counted) {
      if ((calls.get(digest) ?? 0) >= (budget.maxIdenticalCalls ?? Infinity))
        return { kind: "repeated", budgetId: budget.id };
    }
    for (const { calls } of counted) calls.set(digest, (calls.get(digest) ?? 0) + 1);
    for (const period of path) period.held += amountOf(period.budget.unit, request.bound, 1n);
    this.#holds.set(name, { owner: request.owner, path, bound: request.bound });
    return { kind: "held" };
  }

  settle({ requestId, attempt, outcome }: Settlement): SettlementResult {
    const name = nameOf({ requestId, attempt });
    const hold = this.#holds.get(name);
    const kind = typeof outcome === "string" ? outcome : "charge";
    if (hold === undefined) {
      if (kind === "void" && !this.#paid.has(name)) this.#paid.set(name, { kind, credited: true });
      return { kind: "unknown-hold", aboveBound: false };
    }
    const actual = typeof outcome === "object" ? outcome : outcome === "void" ? NOTHING : hold.bound;
    const requests = kind === "void" ? 0n : 1n;
    const paid = this.#paid.get(name);
    if (paid === undefined) {
      for (const period of hold.path) {
        period.held -= amountOf(period.budget.unit, hold.bound, 1n);
        period.spent += amountOf(period.budget.unit, actual, requests);
      }
      this.#paid.set(name, { kind, credited: false });
      return { kind: "settled", aboveBound: this.#closeAbove(hold, actual) };
    }
    if (paid.kind !== "at-bound" || paid.credited || kind === "at-bound")
      return { kind: "duplicate", aboveBound: false };
    paid.credited = true;
    for (const period of hold.path) {
      const { unit } = period.budget;
      const bound = amountOf(unit, hold.bound, 1n);
      period.spent -= bound - least(bound, amountOf(unit, actual, requests));
    }
    return { kind: "credited", aboveBound: this.#closeAbove(hold, actual) };
  }

  #closeAbove(hold: ModelHold, actual: Amounts): boolean {
    for (const { budget } of hold.path) {
      if (budget.hard && amountOf(budget.unit, actual, 1n) > amountOf(budget.unit, hold.bound, 1n))
        budget.closed = true;
    }
    return actual.costNanos > hold.bound.costNanos || actual.tokens > hold.bound.tokens;
  }
}
