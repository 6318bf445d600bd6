import { type DatabaseAddress, ensureRole, migrate, openPool } from "@weir/storage";
import type pg from "pg";

const ROLE = "weir_policy";
const MIGRATIONS = {
  schema: "policy",
  directory: new URL("../../migrations/", import.meta.url),
  lockName: "weir-policy",
};

/** Makes role and schema, or finds them made; safe for any number of replicas at once. */
export async function prepareDatabase(database: DatabaseAddress): Promise<void> {
  await ensureRole(database, ROLE);
  await migrate(database, MIGRATIONS);
}

/**
 * For postgresLedger. A plan made while a table was empty would go on to read all of it once it is full: the ledger's statements are
 * meant for their indexes.
 */
export const ledgerPool = (database: DatabaseAddress, onError: (error: Error) => void): pg.Pool =>
  openPool(database, {
    applicationName: "weir-policy-ledger",
    role: ROLE,
    max: 2,
    statementTimeoutMs: 1_500,
    settings: {
      search_path: "policy",
      enable_seqscan: "off",
      enable_bitmapscan: "off",
      plan_cache_mode: "force_generic_plan",
      jit: "off",
    },
    onError,
  });

/** For postgresBooks, whose statements look at everything. */
export const booksPool = (database: DatabaseAddress, onError: (error: Error) => void): pg.Pool =>
  openPool(database, {
    applicationName: "weir-policy-books",
    role: ROLE,
    max: 2,
    statementTimeoutMs: 600_000,
    settings: { search_path: "policy" },
    onError,
  });

/** For postgresIdempotency: whoever sends many such requests waits here, and keeps nobody else waiting. */
export const idempotencyPool = (database: DatabaseAddress, onError: (error: Error) => void): pg.Pool =>
  openPool(database, {
    applicationName: "weir-policy-idempotency",
    role: ROLE,
    max: 4,
    statementTimeoutMs: 5_000,
    settings: { search_path: "policy" },
    onError,
  });

/** For postgresDirectory and postgresAdmin. */
export const directoryPool = (database: DatabaseAddress, onError: (error: Error) => void): pg.Pool =>
  openPool(database, {
    applicationName: "weir-policy",
    role: ROLE,
    settings: { search_path: "policy" },
    onError,
  });
