/** The places where answers are kept by what was asked: one suite for all of them. */
import { readFile } from "node:fs/promises";
import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { openPool } from "@weir/storage";
import { startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { memorySemanticCache } from "../src/adapters/memory-semantic-cache.ts";
import { addVector, FIND_VECTOR, pgvectorSemanticCache } from "../src/adapters/pgvector-semantic-cache.ts";
import { postgresSemanticCache } from "../src/adapters/postgres-semantic-cache.ts";
import { openSemanticStore } from "../src/adapters/semantic-store.ts";
import { type Rows, sweepAnswers } from "../src/adapters/semantic-rows.ts";
import { unitVector } from "../src/domain/unit-vector.ts";
import { semanticCacheContract, type Subject } from "./semantic-cache.contract.ts";

let nowMs = 0;
const clock = (): number => nowMs;
const setNow = (ms: number): void => void (nowMs = ms);
const fails = (error: unknown): void => {
  throw error;
};

{
  const cache = memorySemanticCache(1 << 20, clock);
  semanticCacheContract("in memory", () => ({
    cache,
    other: undefined,
    setNow,
    count: () => Promise.resolve(cache.count),
    sweep: () => Promise.resolve(cache.sweep()),
    dump: () => Promise.resolve(""),
  }));

  test("in memory: not more bytes than there may be", () => {
    let evicted = 0;
    const small = memorySemanticCache(2_000, clock, (entries) => (evicted += entries));
    const space = { scope: new Uint8Array(32), name: new Uint8Array(32), secret: new Uint8Array(32) };
    const kept = {
      atMs: nowMs,
      served: { provider: "p", model: "m", region: "", attempt: 1 },
      usage: undefined,
      finishReason: "stop" as const,
      dropped: [],
      costNanos: 0n,
      priceVersion: "",
      status: 200,
      contentType: "text/plain",
      body: Buffer.alloc(500),
      terminal: Buffer.alloc(0),
      outputBytes: 0,
    };
    const at = unitVector([1, 0]) as Float32Array;
    for (let entry = 0; entry < 10; entry++) small.put(space, at, kept, { ttlMs: 1_000, mostEntries: 100 });
    expect(small.bytes).toBeLessThanOrEqual(2_000);
    expect(small.count + evicted).toBe(10);
    nowMs += 1_000;
    small.sweep();
    expect([small.bytes, small.count]).toEqual([0, 0]);
  });
}

const stored = (rows: Rows): Pick<Subject, "count" | "sweep" | "dump"> => ({
  count: async () => Number((await rows<{ n: string }>("select count(*) as n from semantic_answer", []))[0]?.n),
  sweep: () => sweepAnswers(rows, nowMs),
  dump: async () => JSON.stringify(await rows("select to_jsonb(a) as entry from semantic_answer a", [])),
});

describe("Postgres", () => {
  const stack = new AsyncDisposableStack();
  let subject: Subject;
  let database: { connectionString: string };
  beforeAll(async () => {
    const postgres = stack.use(await startPostgres());
    database = { connectionString: postgres.url };
    // Makes role and schema, as the service does.
    const told = { onError: fails, onUnusable: fails, onEvicted: () => undefined };
    const store = stack.use(openSemanticStore({ database, nowMs: clock, ...told }));
    await vi.waitFor(() => expect(store.ready).toBe(true), { timeout: 20_000 });
    const pool = openPool(database, {
      applicationName: "test",
      role: "weir_router",
      settings: { search_path: "router" },
    });
    stack.defer(() => pool.end());
    const rows: Rows = async <Row>(text: string, values: readonly unknown[]) =>
      (await pool.query(text, [...values])).rows as Row[];
    subject = {
      cache: postgresSemanticCache(rows, clock, fails),
      other: postgresSemanticCache(rows, clock, fails),
      setNow,
      ...stored(rows),
    };
  });
  afterAll(() => stack.disposeAsync());

  semanticCacheContract("without pgvector", () => subject);

  test("while it is away there are no hits, and nothing waits", async () => {
    const failures: unknown[] = [];
    await using store = openSemanticStore({
      database: { connectionString: "postgres://nobody@127.0.0.1:1/none" },
      nowMs: clock,
      onError: (error) => failures.push(error),
      onUnusable: fails,
      onEvicted: () => undefined,
    });
    const space = { scope: new Uint8Array(32), name: new Uint8Array(32), secret: new Uint8Array(32) };
    const at = unitVector([1, 0]) as Float32Array;
    expect(await store.nearest(space, at, { atLeast: 0, madeFromMs: 0 })).toBeUndefined();
    await expect.poll(() => failures.length, { timeout: 10_000 }).toBeGreaterThan(0);
  });

  test("who may not make its schema is told so, and not as of a database that is away", async () => {
    const owner = openPool(database, { applicationName: "test" });
    stack.defer(() => owner.end());
    await owner.query("create role stranger login");
    const url = new URL(database.connectionString);
    url.username = "stranger";
    const unusable: unknown[] = [];
    await using store = openSemanticStore({
      database: { connectionString: url.href },
      nowMs: clock,
      onError: fails,
      onUnusable: (error) => unusable.push(error),
      onEvicted: () => undefined,
    });
    await expect.poll(() => unusable.length, { timeout: 20_000 }).toBe(1);
    expect(store.ready).toBe(false);
  });
});

describe("PGlite", () => {
  let database: PGlite;
  let subject: Subject;
  beforeAll(async () => {
    database = await PGlite.create({ extensions: { vector } });
    const migration = await readFile(new URL("../migrations/0001-semantic-cache.sql", import.meta.url), "utf8");
    await database.exec(
      `create extension vector; create role weir_router; create schema router; set search_path = router; ${migration}`,
    );
    const rows: Rows = async <Row>(text: string, values: readonly unknown[]) =>
      (await database.query<Row>(text, [...values])).rows;
    // As the service looks for it.
    const [found] = await rows<{ schema: string; prepared: boolean }>(FIND_VECTOR, []);
    expect(found).toEqual({ schema: "public", prepared: false });
    await database.exec(`${addVector('"public"')}; set search_path = router, public; set role weir_router`);
    expect(await rows(FIND_VECTOR, [])).toEqual([{ schema: "public", prepared: true }]);
    subject = {
      cache: pgvectorSemanticCache(rows, clock, fails),
      other: pgvectorSemanticCache(rows, clock, fails),
      setNow,
      ...stored(rows),
    };
  }, 60_000);
  afterAll(() => database.close());

  semanticCacheContract("with pgvector", () => subject);
});
