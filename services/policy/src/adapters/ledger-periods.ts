import type pg from "pg";
import type { Period } from "../domain/entries.ts";
import type { HoldPlace } from "../domain/ledger.ts";

/** Some 10 MB. Each run and each end user with a budget of its own is one. */
const MOST_KNOWN = 50_000;

/** Which periods of its budgets a path leads through now. The database says when one of them is over. */
export class LedgerPeriods {
  #paths = new WeakMap<readonly number[], readonly Period[]>();
  #periods = new Map<string, Period>();
  /** Those and past ones, in which holds are still open. */
  #byId = new Map<number, Period>();

  /** Undefined: something of it is not known yet. */
  pathOf({ budgetIds, subjects }: HoldPlace): readonly Period[] | undefined {
    const known = subjects === undefined ? this.#paths.get(budgetIds) : undefined;
    if (known !== undefined) return known;
    const path: Period[] = [];
    for (let at = 0; at < budgetIds.length; at++) {
      const period = this.#periods.get(nameOf(budgetIds[at], subjects?.[at]));
      if (period === undefined) return undefined;
      path.push(period);
    }
    if (subjects === undefined) this.#paths.set(budgetIds, path);
    return path;
  }

  /** Learns the periods of these places; makes those that are missing. */
  async open(pool: pg.Pool | pg.ClientBase, places: readonly HoldPlace[]): Promise<void> {
    if (this.#periods.size > MOST_KNOWN) this.forget();
    const wanted = new Map<string, { readonly budgetId: number; readonly subject: string }>();
    for (const { budgetIds, subjects } of places) {
      for (const [at, budgetId] of budgetIds.entries()) {
        const name = nameOf(budgetId, subjects?.[at]);
        if (!this.#periods.has(name)) wanted.set(name, { budgetId, subject: subjects?.[at] ?? "" });
      }
    }
    const asked = [...wanted.values()];
    const { rows } = await pool.query<Period>({
      name: "open_periods",
      text: "select id, unit from open_periods($1::int[], $2::text[])",
      values: [asked.map(({ budgetId }) => budgetId), asked.map(({ subject }) => subject)],
    });
    if (rows.length !== asked.length) throw new Error("a path names a budget that does not exist");
    for (const [at, name] of [...wanted.keys()].entries()) this.#periods.set(name, this.#keep(rows[at] as Period));
  }

  /** The periods of entries that were read, by id. */
  async read(pool: pg.Pool, ids: Iterable<number>): Promise<ReadonlyMap<number, Period>> {
    const unknown = [...new Set(ids)].filter((id) => !this.#byId.has(id));
    if (unknown.length > 0) {
      const { rows } = await pool.query<Period>({
        name: "read_periods",
        text: "select id, unit from budget_period where id = any($1::int[])",
        values: [unknown],
      });
      for (const period of rows) this.#keep(period);
    }
    return this.#byId;
  }

  /** Some of them are over. */
  forget(): void {
    this.#paths = new WeakMap();
    this.#periods = new Map();
    this.#byId = new Map();
  }

  #keep(period: Period): Period {
    const known = this.#byId.get(period.id);
    if (known !== undefined) return known;
    this.#byId.set(period.id, period);
    return period;
  }
}

const nameOf = (budgetId: number | undefined, subject = ""): string => `${budgetId}/${subject}`;
