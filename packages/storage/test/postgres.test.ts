import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DatabaseAddress, ensureRole, isUnavailable, migrate, openPool } from "../src/index.ts";

let server: BackingPostgres;
let folder: string;

beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), "weir-migrations-"));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const fresh = async (): Promise<DatabaseAddress> => ({ connectionString: await server.freshDatabase() });

async function directory(files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(folder, "set-"));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(path, name), sql);
  return path;
}

const FIRST = { "0001-thing.sql": "create table thing (id int primary key)" };
const SECOND = { ...FIRST, "0002-more.sql": "alter table thing add note text; insert into thing values (1, 'x')" };

test("files are applied once, in order, by any number of replicas at once", async () => {
  const database = await fresh();
  const options = { schema: "shop", directory: await directory(SECOND), lockName: "shop" };
  const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(database, options)));
  expect(applied.flat()).toEqual(["0001-thing.sql", "0002-more.sql"]);
  expect(await migrate(database, options)).toEqual([]);
  await using pool = disposable(openPool(database, { applicationName: "test" }));
  expect((await pool.query("select * from shop.thing")).rows).toEqual([{ id: 1, note: "x" }]);
});

test("a later release adds its files; a changed, missing or misnumbered one is refused", async () => {
  const database = await fresh();
  const run = async (files: Record<string, string>): Promise<string[]> =>
    migrate(database, { schema: "shop", directory: await directory(files), lockName: "shop" });
  expect(await run(FIRST)).toEqual(["0001-thing.sql"]);
  expect(await run(SECOND)).toEqual(["0002-more.sql"]);
  await expect(run({ ...SECOND, "0001-thing.sql": "select 1" })).rejects.toThrow("0001-thing.sql was changed");
  await expect(run(FIRST)).rejects.toThrow("0002-more.sql was applied to shop, but is not among the files");
  await expect(run({ "0002-more.sql": "select 1" })).rejects.toThrow("should have number 1");
});

test("a file that fails leaves nothing behind and can be corrected", async () => {
  const database = await fresh();
  const run = async (sql: string): Promise<string[]> =>
    migrate(database, { schema: "shop", directory: await directory({ "0001-a.sql": sql }), lockName: "shop" });
  await expect(run("create table kept (id int); select 1 / 0")).rejects.toThrow("0001-a.sql failed: division by zero");
  expect(await run("create table kept (id int)")).toEqual(["0001-a.sql"]);
});

test("a pool acts as its role and nothing more, also after RESET ROLE and against the URL's own options", async () => {
  const database = await fresh();
  await Promise.all(Array.from({ length: 6 }, () => ensureRole(database, "weir_test")));
  await migrate(database, { schema: "shop", directory: await directory(FIRST), lockName: "shop" });
  const url = "connectionString" in database ? `${database.connectionString}?options=-c%20role%3Dpostgres` : "";
  for (const address of [database, { connectionString: url }]) {
    await using pool = disposable(openPool(address, { role: "weir_test", applicationName: "test", max: 1 }));
    await pool.query("reset role");
    expect((await pool.query("select current_user as name")).rows).toEqual([{ name: "weir_test" }]);
    await expect(pool.query("select * from shop.thing")).rejects.toThrow("permission denied");
  }
});

test("a user without rights of its own may make its role and take it, and may start when all is applied", async () => {
  const url = await server.freshDatabase();
  const directoryOf = await directory(FIRST);
  await using owner = disposable(openPool({ connectionString: url }, { applicationName: "test" }));
  await owner.query("create user maker createrole");
  await ensureRole({ connectionString: url.replace("postgres@", "maker@") }, "weir_made");
  await migrate({ connectionString: url }, { schema: "shop", directory: directoryOf, lockName: "shop" });
  await owner.query(
    "create user plain in role weir_made; grant usage on schema shop to plain; grant select on shop.migration to plain",
  );
  const plain = { connectionString: url.replace("postgres@", "plain@") };
  await ensureRole(plain, "weir_made");
  expect(await migrate(plain, { schema: "shop", directory: directoryOf, lockName: "shop" })).toEqual([]);
  await using pool = disposable(openPool(plain, { role: "weir_made", applicationName: "test" }));
  expect((await pool.query("select current_user as name")).rows).toEqual([{ name: "weir_made" }]);
});

test("settings reach the session; a statement that runs too long is an outage, wrong SQL is not", async () => {
  await using pool = disposable(
    openPool(await fresh(), {
      applicationName: "a b",
      statementTimeoutMs: 50,
      settings: { search_path: "x, pg_catalog" },
    }),
  );
  expect((await pool.query("show search_path")).rows).toEqual([{ search_path: "x, pg_catalog" }]);
  expect(isUnavailable(await pool.query("select pg_sleep(5)").catch((error: unknown) => error))).toBe(true);
  expect(isUnavailable(await pool.query("selec").catch((error: unknown) => error))).toBe(false);
});

test("a killed server is reported, breaks nothing, and is used again once it is back", async () => {
  await using own = await startPostgres();
  const errors: Error[] = [];
  await using pool = disposable(
    openPool({ connectionString: own.url }, { applicationName: "test", onError: (error) => errors.push(error) }),
  );
  const idle = await pool.connect(); // checked out, between two queries: the case that would end the process
  await pool.query("select 1");
  await own.kill();
  await expect.poll(() => errors.length, { timeout: 10_000 }).toBeGreaterThan(0);
  idle.release(true);
  expect(isUnavailable(await pool.query("select 1").catch((error: unknown) => error))).toBe(true);
  await own.restart();
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});

const disposable = <T extends { end(): Promise<void> }>(pool: T): T & AsyncDisposable =>
  Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
