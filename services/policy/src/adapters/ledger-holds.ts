import type pg from "pg";
import type { HeldEntry, Period } from "../domain/entries.ts";
import type { HoldName, Settlement } from "../domain/ledger.ts";
import type { LedgerPeriods } from "./ledger-periods.ts";

/** Some 20 MB; more requests than one replica has under way. */
const MOST_KNOWN = 50_000;

interface HoldRow {
  readonly request_id: string;
  readonly attempt: number;
  readonly cost_nanos: string;
  readonly tokens: string;
  readonly path: number[];
}

/**
 * Holds as they are written, so that what a settlement changes is known without looking: an entry never changes. What is forgotten is
 * read again.
 */
export class LedgerHolds {
  readonly #known = new Map<string, HeldEntry>();

  get(name: HoldName): HeldEntry | undefined {
    return this.#known.get(textOf(name));
  }

  remember(name: HoldName, entry: HeldEntry): void {
    if (this.#known.size >= MOST_KNOWN) this.#forgetOldest();
    this.#known.set(textOf(name), entry);
  }

  forget(name: HoldName): void {
    this.#known.delete(textOf(name));
  }

  /** Reads what other replicas, or this one before it was started, held. */
  async read(pool: pg.Pool, periods: LedgerPeriods, settlements: readonly Settlement[]): Promise<void> {
    const unknown = settlements.filter((one) => !this.#known.has(textOf(one)));
    if (unknown.length === 0) return;
    const { rows } = await pool.query<HoldRow>({
      name: "read_holds",
      text: "select request_id, attempt, path, cost_nanos, tokens from hold where request_id = any($1::uuid[]) and path <> '{}'",
      values: [unknown.map(({ requestId }) => requestId)],
    });
    const byId = await periods.read(
      pool,
      rows.flatMap(({ path }) => path),
    );
    for (const { request_id, attempt, path, cost_nanos, tokens } of rows) {
      const bound = { costNanos: BigInt(cost_nanos), tokens: BigInt(tokens) };
      this.remember({ requestId: request_id, attempt }, { path: path.map((id) => byId.get(id) as Period), bound });
    }
  }

  #forgetOldest(): void {
    for (const name of this.#known.keys()) {
      this.#known.delete(name);
      return;
    }
  }
}

const textOf = ({ requestId, attempt }: HoldName): string => `${requestId}/${attempt}`;
