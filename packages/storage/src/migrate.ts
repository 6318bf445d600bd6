import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { clientConfig, type DatabaseAddress } from "./pool.ts";

export interface Migrations {
  /** Made if it is missing; first in the search path of each file, so files need not name it. Holds the list of what was applied. */
  readonly schema: string;
  /** Of files `0001-what-it-does.sql`, numbered without a gap. */
  readonly directory: URL | string;
  /** Who holds it applies; the others wait and then find nothing to do. The same for all replicas of a service. */
  readonly lockName: string;
}

interface File {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/**
 * Brings a schema to the newest of its files, each in a transaction of its own. Safe for any number of services and replicas at once; a
 * user who may change nothing can call it, too, once all is applied.
 *
 * Our own instead of node-pg-migrate: that does not notice changed files, and brings jiti, glob and yargs into every bundle for what
 * is one loop here.
 * @returns the names of the files it applied
 * @throws Error if an applied file was changed or is missing (a newer release was here), or a file's SQL fails: nothing of that file stays then
 */
export async function migrate(address: DatabaseAddress, migrations: Migrations): Promise<string[]> {
  const files = await readFiles(migrations.directory);
  const settings = { statement_timeout: "0", lock_timeout: "60000", client_min_messages: "warning" };
  const client = new pg.Client({ ...clientConfig(address, settings), connectionTimeoutMillis: 5_000 });
  // The query that runs rejects, too; between two queries nobody would listen.
  client.on("error", () => undefined);
  await client.connect();
  try {
    if ((await pending(client, migrations.schema, files)).length === 0) return [];
    // Of the session, not of a transaction: it spans several; the server drops it when the connection ends, however it ends.
    await client.query("select pg_advisory_lock(hashtextextended($1, 0))", [migrations.lockName]);
    const schema = client.escapeIdentifier(migrations.schema);
    await client.query(`create schema if not exists ${schema}`);
    await client.query(
      `create table if not exists ${schema}.migration (name text primary key, checksum text not null, applied_at timestamptz not null default now())`,
    );
    const todo = await pending(client, migrations.schema, files);
    for (const file of todo) await apply(client, schema, file);
    return todo.map((file) => file.name);
  } finally {
    await client.end();
  }
}

async function readFiles(directory: URL | string): Promise<File[]> {
  const folder = directory instanceof URL ? fileURLToPath(directory) : directory;
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  for (const [index, name] of names.entries()) {
    if (name.startsWith(`${String(index + 1).padStart(4, "0")}-`)) continue;
    throw new Error(`migration ${name} should have number ${index + 1}`);
  }
  if (names.length === 0) throw new Error(`no migrations in ${folder}`);
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

async function pending(client: pg.Client, schema: string, files: File[]): Promise<File[]> {
  const table = `${client.escapeIdentifier(schema)}.migration`;
  const exists = await client.query<{ oid: string | null }>("select to_regclass($1) as oid", [table]);
  if (exists.rows[0]?.oid == null) return files;
  const applied = await client.query<{ name: string; checksum: string }>(
    `select name, checksum from ${table} order by name`,
  );
  for (const [index, row] of applied.rows.entries()) {
    const file = files[index];
    if (file?.name !== row.name)
      throw new Error(`migration ${row.name} was applied to ${schema}, but is not among the files`);
    if (file.checksum !== row.checksum)
      throw new Error(`migration ${row.name} was changed after it was applied to ${schema}`);
  }
  return files.slice(applied.rows.length);
}

async function apply(client: pg.Client, schema: string, file: File): Promise<void> {
  await client.query("begin");
  try {
    await client.query(`set local search_path to ${schema}`);
    await client.query(file.sql);
    await client.query(`insert into ${schema}.migration (name, checksum) values ($1, $2)`, [file.name, file.checksum]);
    await client.query("commit");
  } catch (cause) {
    // A broken connection has rolled back by itself; its own error tells more than the rollback's would.
    await client.query("rollback").catch(() => undefined);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`migration ${file.name} failed: ${reason}`, { cause });
  }
}
