import { WeirError } from "@weir/kernel";
import { isUnavailable } from "@weir/storage";
import type pg from "pg";
import type { Label } from "../domain/dataset.ts";
import type { Verdict } from "../domain/subject.ts";

/** Verdict of weir.evaluation.v1; a test keeps the two equal. */
export const VERDICT: Readonly<Record<Verdict, number>> = { pass: 1, fail: 2, "not-evaluable": 3, unjudged: 4 };
const VERDICT_NAMES = new Map(Object.entries(VERDICT).map(([name, number]) => [number, name as Verdict]));
export const verdictOf = (stored: number): Verdict => VERDICT_NAMES.get(stored) ?? "not-evaluable";

export const LABEL: Readonly<Record<Label, number>> = { pass: VERDICT.pass, fail: VERDICT.fail };

export function labelOf(stored: number | null): Label | undefined {
  if (stored === LABEL.pass) return "pass";
  return stored === LABEL.fail ? "fail" : undefined;
}

/** Says `overloaded` where the database is away. */
export async function whileThere<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    throw new WeirError("overloaded", "The database of evaluation results is away.", {
      retryAfterMs: 1_000,
      cause: error,
    });
  }
}

export const rowsOf =
  (pool: pg.Pool) =>
  <Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> =>
    whileThere(async () => (await pool.query<Row>(text, values)).rows);

/** Commits what `work` did, or leaves nothing of it. */
export function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  return whileThere(async () => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query("begin");
      const value = await work(client);
      await client.query("commit");
      return value;
    } catch (error) {
      // A connection that cannot roll back is not used again.
      await client.query("rollback").catch((failure: unknown) => (broken = failure as Error));
      throw error;
    } finally {
      client.release(broken);
    }
  });
}

export const isDuplicate = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "23505";
