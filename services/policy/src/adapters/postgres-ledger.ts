/**
 * The ledger in Postgres. Failure policy: closed. While Postgres is away holds are refused at once and settlements must be sent
 * again; a batch whose commit is unknown is repeated once (apply_batch is safe to repeat), and if that fails, too, what it may have
 * held is given back as soon as Postgres is there again.
 */
import { WeirError } from "@weir/kernel";
import { isUnavailable } from "@weir/storage";
import type pg from "pg";
import { totalsOf } from "../domain/entries.ts";
import {
  type HoldName,
  type HoldRequest,
  type HoldVerdict,
  type Settlement,
  type SettlementResult,
  UnsureHoldError,
} from "../domain/ledger.ts";
import type { Ledger } from "../ports.ts";
import { Lane, LaneBatch } from "./group-commit.ts";
import {
  APPLY_BATCH,
  type Batch,
  type BatchRow,
  batchValues,
  isStale,
  isWhole,
  readResults,
  readVerdicts,
} from "./ledger-batch.ts";
import { LedgerHolds } from "./ledger-holds.ts";
import { LedgerPeriods } from "./ledger-periods.ts";

/** Per kind: bounds how long a batch keeps its locks. */
const MOST_PER_BATCH = 256;
const PROBE_EVERY_MS = 200;
/**
 * A lock that is held for long lets probes through and batches not: each time it did, requests waited for a timeout in vain. So the rest after
 * a timeout doubles up to this, for as long as no batch was written.
 */
const MOST_REST_MS = 2_000;
const ADVANCE_EVERY_MS = 30_000;
/** Holds looked at in one statement, some 10 ms. */
const ADVANCE_BY = 5_000;

type HoldBatch = LaneBatch<HoldRequest, HoldVerdict>;
type SettleBatch = LaneBatch<Settlement, SettlementResult>;

export interface LedgerEvents {
  /** The store went away, or came back. */
  onAway(error: unknown): void;
  onBack(): void;
  /** One item made its batch fail; the others were written without it. */
  onUnwritable(error: unknown): void;
  /** Housekeeping failed; it is tried again later. */
  onAdvanceFailed(error: unknown): void;
}

export interface PostgresLedger extends Ledger, AsyncDisposable {
  /** Commits so far, for measurements. */
  readonly commits: number;
}

/** @param pool with `search_path` policy; only one of its connections is used for batches, so that there is one group */
export function postgresLedger(pool: pg.Pool, events: LedgerEvents): PostgresLedger {
  const holds = new Lane<HoldRequest, HoldVerdict>();
  const settlements = new Lane<Settlement, SettlementResult>();
  const known = new LedgerHolds();
  const periods = new LedgerPeriods();
  const ownerIds = new Map<string, number>();
  let running: Promise<void> | undefined;
  let away = false;
  let closed = false;
  let probe: NodeJS.Timeout | undefined;
  let restMs = PROBE_EVERY_MS;
  /** Refused because nobody could know whether they were held. */
  let orphans: HoldName[] = [];
  let commits = 0;

  /** A commit is on its way whenever there is something to commit, never two; what comes meanwhile is the next one. */
  function wake(): void {
    running ??= run().finally(() => {
      running = undefined;
      if (holds.length + settlements.length > 0) wake();
    });
  }

  async function run(): Promise<void> {
    // What else arrives in this turn of the event loop comes along.
    await new Promise(setImmediate);
    while (holds.length + settlements.length > 0) {
      const settle = settlements.next(MOST_PER_BATCH);
      const hold = holds.next(MOST_PER_BATCH);
      try {
        await commit(settle, hold);
        restMs = PROBE_EVERY_MS;
      } catch (error) {
        if (!isUnavailable(error)) await commitSingly(settle, hold, error);
        else if (isTimeout(error)) giveUp(settle, hold, error);
        else await repeat(settle, hold);
      }
    }
  }

  async function commit(settle: SettleBatch, hold: HoldBatch): Promise<void> {
    for (const { owner } of hold.values) if (!ownerIds.has(owner)) await registerOwner(owner);
    await known.read(pool, periods, settle.values);
    for (;;) {
      const places = hold.values.flatMap(({ place }) => (place === undefined ? [] : [place]));
      if (places.some((place) => periods.pathOf(place) === undefined)) await periods.open(pool, places);
      const batch = batchOf(settle.values, hold.values);
      const { rows } = await pool.query<BatchRow>({ ...APPLY_BATCH, values: batchValues(batch) });
      commits++;
      const row = rows[0] as BatchRow;
      if (isStale(row)) {
        periods.forget();
        continue;
      }
      remember(batch, row);
      settle.resolve(readResults(row, batch));
      hold.resolve(readVerdicts(row, batch));
      return;
    }
  }

  function batchOf(settlements: readonly Settlement[], holds: readonly HoldRequest[]): Batch {
    const entries = settlements.map((one) => known.get(one));
    const paths = holds.map(({ place }) => (place === undefined ? undefined : periods.pathOf(place)));
    const totals = totalsOf(settlements, entries, holds, paths);
    return { settlements, entries, holds, paths, totals, ownerId: (owner) => ownerIds.get(owner) ?? 0 };
  }

  function remember({ settlements, holds, paths }: Batch, row: BatchRow): void {
    for (const settlement of settlements) known.forget(settlement);
    if (!isWhole(row)) return; // what was held before was held elsewhere, perhaps
    for (let at = 0; at < holds.length; at++) {
      const [hold, path] = [holds[at] as HoldRequest, paths[at]];
      if (path !== undefined) known.remember(hold, { path, bound: hold.bound });
    }
  }

  async function repeat(settle: SettleBatch, hold: HoldBatch): Promise<void> {
    try {
      await commit(settle, hold);
    } catch (error) {
      giveUp(settle, hold, error);
    }
  }

  function giveUp(settle: SettleBatch, hold: HoldBatch, error: unknown): void {
    for (const { requestId, attempt } of hold.values) orphans.push({ requestId, attempt });
    settle.reject(unavailable(error));
    // Given back from here as well; but this process may be gone before it can.
    hold.reject(new UnsureHoldError("policy_unavailable", AWAY, { retryAfterMs: 1000, cause: error }));
    goAway(error);
  }

  /** A batch that Postgres refuses (no connection failed) has an item that it cannot take; the others must not suffer for it. */
  async function commitSingly(settle: SettleBatch, hold: HoldBatch, cause: unknown): Promise<void> {
    events.onUnwritable(cause);
    const all: [SettleBatch, HoldBatch][] = [
      ...settle.singles().map((one): [SettleBatch, HoldBatch] => [one, new LaneBatch([])]),
      ...hold.singles().map((one): [SettleBatch, HoldBatch] => [new LaneBatch([]), one]),
    ];
    for (const [oneSettle, oneHold] of all) {
      try {
        await commit(oneSettle, oneHold);
      } catch (error) {
        if (isUnavailable(error)) {
          await repeat(oneSettle, oneHold);
          continue;
        }
        const failure = new WeirError("internal", "The ledger could not write this.", { cause: error });
        oneSettle.reject(failure);
        oneHold.reject(failure);
      }
    }
  }

  async function registerOwner(name: string): Promise<void> {
    await pool.query("insert into owner (name) values ($1) on conflict do nothing", [name]);
    const { rows } = await pool.query<{ id: number }>("select id from owner where name = $1", [name]);
    // Owners are starts of processes: this grows by one with each.
    ownerIds.set(name, (rows[0] as { id: number }).id);
  }

  /** Keeps recovery cheap for owners that live long. A failure costs nothing but the next one's time. */
  async function advanceOwners(): Promise<void> {
    for (const id of ownerIds.values()) {
      for (let more = true; more && !away && !closed; ) {
        const { rows } = await pool.query<{ more: boolean }>("select advance_owner($1, $2) as more", [id, ADVANCE_BY]);
        more = rows[0]?.more === true;
      }
    }
  }
  const advancing = setInterval(() => {
    if (!away) advanceOwners().catch((error: unknown) => events.onAdvanceFailed(error));
  }, ADVANCE_EVERY_MS).unref();

  function goAway(error: unknown): void {
    if (away || closed) return;
    away = true;
    events.onAway(error);
    const refusal = unavailable(error);
    holds.rejectAll(refusal);
    settlements.rejectAll(refusal);
    probe = setTimeout(() => void lookForPostgres(), restMs);
    if (isTimeout(error)) restMs = Math.min(2 * restMs, MOST_REST_MS);
  }

  /**
   * What is to be given back is the probe where there is any: a database whose tables are locked still answers other questions, and who took
   * that for its return would let requests wait for a timeout over and over.
   */
  async function lookForPostgres(): Promise<void> {
    try {
      if (orphans.length === 0) await pool.query("select 1");
      else await giveBackOrphans();
    } catch {
      if (!closed) probe = setTimeout(() => void lookForPostgres(), PROBE_EVERY_MS);
      return;
    }
    if (closed) return;
    away = false;
    events.onBack();
  }

  /** @throws Error while Postgres is away */
  async function giveBackOrphans(): Promise<void> {
    const none: HoldBatch = new LaneBatch([]);
    const voids = new Lane<Settlement, SettlementResult>();
    // Nobody waits for what becomes of each.
    void voids.add(orphans.map((name): Settlement => ({ ...name, outcome: "void" }))).catch(() => undefined);
    while (voids.length > 0) {
      const batch = voids.next(MOST_PER_BATCH);
      try {
        await commit(batch, none);
      } catch (error) {
        if (isUnavailable(error)) throw error;
        // One that cannot be written stays held until its owner's recovery; it must not keep the ledger away.
        await commitSingly(batch, none, error);
      }
    }
    orphans = [];
  }

  function settle(items: readonly Settlement[]): Promise<SettlementResult[]> {
    if (away || closed) return Promise.reject(unavailable(undefined));
    const results = settlements.add(items);
    wake();
    return results;
  }

  return {
    get commits() {
      return commits;
    },
    hold(items) {
      if (away || closed) return Promise.reject(unavailable(undefined));
      const verdicts = holds.add(items);
      wake();
      return verdicts;
    },
    settle,
    async fence(owner) {
      await asWeirError(pool.query("select fence_owner($1)", [owner]));
    },
    async openHolds(owner) {
      const { rows } = await asWeirError(
        pool.query<{ request_id: string; attempt: number }>("select request_id, attempt from open_holds($1)", [owner]),
      );
      return rows.map((row) => ({ requestId: row.request_id, attempt: row.attempt }));
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(probe);
      clearInterval(advancing);
      await running;
    },
  };
}

/** The server answers nothing: asking again would only double the wait. */
const isTimeout = (error: unknown): boolean => error instanceof Error && /timeout/i.test(error.message);

const AWAY = "Budgets cannot be checked right now.";
const unavailable = (cause: unknown): WeirError =>
  new WeirError("policy_unavailable", AWAY, { retryAfterMs: 1000, cause });

async function asWeirError<T>(query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (error) {
    throw isUnavailable(error) ? unavailable(error) : error;
  }
}
