/**
 * The semantic cache's place in Postgres. Failure policy: open. Until its schema is there, and while the database is away, there are no hits, and
 * nothing is kept.
 */
import { ensureRole, migrate, openPool, retryWhileAway, type DatabaseAddress } from "@weir/storage";
import type { SemanticCache } from "../ports.ts";
import { addVector, FIND_VECTOR, pgvectorSemanticCache } from "./pgvector-semantic-cache.ts";
import { postgresSemanticCache } from "./postgres-semantic-cache.ts";
import { type Rows, sweepAnswers } from "./semantic-rows.ts";

const ROLE = "weir_router";
/** A request waits for it no longer. */
const STATEMENT_MS = 500;
const CONNECT_MS = 500;
/** What is over is gone from the database so long after, at most. */
const SWEEP_MS = 60_000;
/** Of a service that is new; then less often. */
const LONGEST_WAIT_MS = 10_000;

export interface SemanticStoreOptions {
  readonly database: DatabaseAddress;
  readonly nowMs: () => number;
  readonly onError: (error: unknown) => void;
  /** Told once where its schema cannot be made, though the database is there: it keeps nothing then, until it is opened again. */
  readonly onUnusable: (error: unknown) => void;
  readonly onEvicted: (entries: number) => void;
}

export interface SemanticStore extends SemanticCache, AsyncDisposable {
  /** Its schema is there. */
  readonly ready: boolean;
}

export function openSemanticStore(options: SemanticStoreOptions): SemanticStore {
  const { nowMs, onError } = options;
  const stopping = new AbortController();
  let pool: ReturnType<typeof openPool> | undefined;
  let cache: SemanticCache | undefined;
  let sweeper: NodeJS.Timeout | undefined;
  const start = async (): Promise<void> => {
    const schema = await retryWhileAway(() => prepare(options.database), {
      signal: stopping.signal,
      onAway: onError,
      longestWaitMs: LONGEST_WAIT_MS,
    });
    if (stopping.signal.aborted) return;
    const opened = openPool(options.database, {
      applicationName: "weir-router",
      role: ROLE,
      statementTimeoutMs: STATEMENT_MS,
      connectTimeoutMs: CONNECT_MS,
      settings: { search_path: ["router", ...(schema === undefined ? [] : [schema]), "pg_temp"].join(", ") },
      onError,
    });
    pool = opened;
    const rows: Rows = async <Row>(text: string, values: readonly unknown[]) =>
      (await opened.query(text, [...values])).rows as Row[];
    const adapter = schema === undefined ? postgresSemanticCache : pgvectorSemanticCache;
    cache = adapter(rows, nowMs, onError, options.onEvicted);
    sweeper = setInterval(() => void sweepAnswers(rows, nowMs()).catch(onError), SWEEP_MS).unref();
  };
  const started = start().catch((error: unknown) => {
    if (!stopping.signal.aborted) options.onUnusable(error);
  });
  return {
    get ready() {
      return cache !== undefined;
    },
    nearest: async (space, vector, wanted) => cache?.nearest(space, vector, wanted),
    put: (space, vector, answer, kept) => cache?.put(space, vector, answer, kept),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearInterval(sweeper);
      await started;
      await pool?.end();
    },
  };
}

/** @returns the schema that pgvector is in, quoted; undefined: it is not there */
async function prepare(database: DatabaseAddress): Promise<string | undefined> {
  await ensureRole(database, ROLE);
  await migrate(database, {
    schema: "router",
    directory: new URL("../../migrations/", import.meta.url),
    lockName: "weir.router.migrate",
  });
  const owner = openPool(database, { applicationName: "weir-router-start", max: 1 });
  try {
    const [found] = (await owner.query<{ schema: string; prepared: boolean }>(FIND_VECTOR)).rows;
    if (found === undefined) return undefined;
    const schema = `"${found.schema.replaceAll('"', '""')}"`;
    if (!found.prepared) await owner.query(addVector(schema));
    return schema;
  } finally {
    await owner.end();
  }
}
