import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, expect, test } from "vitest";
import { openDataFolder, StartError, storedToken } from "../src/data-folder.ts";
import { startEmbeddedPostgres } from "../src/postgres/embedded-postgres.ts";

const scratch = mkdtempSync(join(tmpdir(), "weir-standalone-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const said: string[] = [];
const log = {
  info: (message: string): void => void said.push(message),
  error: (_: object, message: string): void => void said.push(message),
};
const folder = (name: string): string => {
  const path = join(scratch, name);
  mkdirSync(path, { recursive: true });
  return path;
};

async function query(address: pg.ClientConfig, sql: string): Promise<unknown[]> {
  const client = new pg.Client(address);
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end().catch(() => undefined);
  }
}

test("it keeps its data over a restart, and commits are durable", async () => {
  const path = folder("kept");
  {
    await using postgres = await startEmbeddedPostgres(path, log);
    await query(postgres.address, "create table t (x int); insert into t values (7)");
    const settings = "select current_setting('fsync') || current_setting('synchronous_commit') as durable";
    expect(await query(postgres.address, settings)).toEqual([{ durable: "onon" }]);
  }
  await using postgres = await startEmbeddedPostgres(path, log);
  expect(await query(postgres.address, "select x from t")).toEqual([{ x: 7 }]);
});

test("an initdb that was killed half-way is begun anew", async () => {
  const path = folder("half");
  const half = join(path, "postgres.new-abcdef");
  mkdirSync(half);
  writeFileSync(join(half, "PG_VERSION"), "18\n");
  await using postgres = await startEmbeddedPostgres(path, log);
  expect(await query(postgres.address, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(readdirSync(path).filter((name) => name.startsWith("postgres.new"))).toEqual([]);
});

test("a server that crashes is started again", async () => {
  await using postgres = await startEmbeddedPostgres(folder("crash"), log);
  const first = postgres.pid();
  process.kill(first ?? 0, "SIGKILL");
  await expect.poll(() => postgres.pid(), { timeout: 15_000 }).not.toBe(first);
  expect(await query(postgres.address, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(said).toContain("Postgres ended by itself; starting it again");
});

test("a folder that lies deep is no obstacle for its socket", async () => {
  await using postgres = await startEmbeddedPostgres(folder("deep/".repeat(25)), log);
  expect(await query(postgres.address, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("it ends with a process that is killed, and the next one takes over", async () => {
  const path = folder("orphan");
  const script = `const { startEmbeddedPostgres } = await import(${JSON.stringify(new URL("../src/postgres/embedded-postgres.ts", import.meta.url).href)});
    const postgres = await startEmbeddedPostgres(${JSON.stringify(path)}, { info() {}, error() {} });
    console.log(postgres.pid()); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await using postgres = await startEmbeddedPostgres(path, log);
  expect(await query(postgres.address, "select 1 as one")).toEqual([{ one: 1 }]);
});

test("a data folder belongs to one process, and its files to one user", () => {
  const path = join(scratch, "locked");
  {
    using first = openDataFolder(path);
    expect(() => openDataFolder(path)).toThrow(StartError);
    expect(() => openDataFolder(path)).toThrow(/another Weir runs on the data folder/);
    const token = storedToken(first, "admin-token");
    expect(token.reveal().length).toBeGreaterThanOrEqual(32);
    expect(storedToken(first, "admin-token").reveal()).toBe(token.reveal());
    expect(statSync(join(path, "admin-token")).mode & 0o777).toBe(0o600);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  }
  openDataFolder(path)[Symbol.dispose]();
  writeFileSync(join(scratch, "file"), "");
  expect(() => openDataFolder(join(scratch, "file"))).toThrow(/cannot be made/);
  expect(existsSync(path)).toBe(true);
});
