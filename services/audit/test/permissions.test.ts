import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DatabaseAddress } from "@weir/storage";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { outcomeRecord, poolOf, prepared } from "./support.ts";

const TABLES = [
  "producer",
  "audit_leaf",
  "audit_record",
  "audit_payload",
  "unknown_outcome",
  "tree_node",
  "tree_head",
  "signing_key",
  "head_publication",
  "repricing",
  "repriced",
  "log",
];
const LOG = TABLES.map((table) => `audit.${table}`);
const CHANGES: Readonly<Record<string, string>> = {
  "audit.repricing": "version = 'x'",
  "audit.producer": "name = 'x'",
  "audit.tree_head": "size = 99",
  "audit.signing_key": "endorsement = ''",
  "audit.head_publication": "size = 99",
  "audit.log": "id = gen_random_uuid()",
};
const changeOf = (table: string): string => `update ${table} set ${CHANGES[table] ?? "index = 99"}`;
const APPLICATION_ROLES = ["weir_audit", "weir_policy", "weir_evaluation"];

let server: BackingPostgres;
let database: DatabaseAddress;

beforeAll(async () => {
  server = await startPostgres();
  database = await prepared(await server.freshDatabase());
  await using owner = poolOf(database);
  await owner.query("create role weir_policy nologin; create role weir_evaluation nologin");
  await using pool = poolOf(database, "weir_audit");
  await postgresLogWriter(pool).append([outcomeRecord("p", 2, 1, { seed: 1 })]);
});
afterAll(() => server[Symbol.asyncDispose]());

/** The SQLSTATE a statement fails with; undefined if it succeeds. */
async function failure(role: string | undefined, statement: string): Promise<string | undefined> {
  await using pool = poolOf(database, role);
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query(statement);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "no code";
  } finally {
    await client.query("rollback");
    client.release();
  }
}

const DENIED = "42501"; // insufficient_privilege

describe.each(APPLICATION_ROLES)("%s", (role) => {
  const statements = LOG.flatMap((table) => [
    changeOf(table),
    `delete from ${table}`,
    `delete from ${table} where false`,
    `truncate ${table}`,
    `truncate ${table} cascade`,
    `drop table ${table}`,
    `alter table ${table} disable trigger all`,
    `alter table ${table} disable trigger deny_row`,
    `alter table ${table} owner to ${role}`,
    `drop trigger deny_row on ${table}`,
    `create rule r as on insert to ${table} do instead nothing`,
    `create trigger t before insert on ${table} for each row execute function audit.deny()`,
    // Without a grant option this grants nothing, with a warning only.
    `grant all on ${table} to ${role}; delete from ${table}`,
  ]);
  const others = [
    "drop schema audit cascade",
    "create table audit.mine (id int)",
    "drop function audit.deny() cascade",
    "create or replace function audit.deny() returns trigger language plpgsql as $$ begin return null; end $$",
    "set session_replication_role = replica",
    "update audit.migration set checksum = ''",
    "truncate audit.producer_progress",
    "drop table audit.producer_progress",
  ];
  test.each([...statements, ...others])("may not %s", async (statement) => {
    expect(await failure(role, statement)).toMatch(/^(42501|0A000)$/);
  });
});

test("the log's writer may insert and read, and change nothing but its bookkeeping", async () => {
  await using owner = poolOf(database);
  const granted = await owner.query<{ relation: string; privileges: string }>(
    `select c.relname as relation, string_agg(a.privilege_type, ',' order by a.privilege_type) as privileges
     from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
     where c.relnamespace = 'audit'::regnamespace and r.rolname = 'weir_audit' group by 1 order by 1`,
  );
  expect(Object.fromEntries(granted.rows.map((row) => [row.relation, row.privileges]))).toEqual({
    ...Object.fromEntries(TABLES.map((table) => [table, "INSERT,SELECT"])),
    log: "SELECT",
    producer_progress: "INSERT,SELECT,UPDATE",
  });
  const owned = await owner.query(
    "select relname from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = 'weir_audit'",
  );
  expect(owned.rows).toEqual([]);
});

test.each(["weir_policy", "weir_evaluation"])("%s may not even read", async (role) => {
  for (const table of LOG) expect(await failure(role, `select from ${table}`)).toBe(DENIED);
});

test.each(LOG)("triggers stop the owner, too: %s", async (table) => {
  const change = changeOf(table);
  for (const statement of [change, `${change} where false`, `delete from ${table}`, `truncate ${table}`]) {
    expect(await failure(undefined, statement), statement).toBe(DENIED);
    // session_replication_role switches off ordinary triggers.
    expect(await failure(undefined, `set local session_replication_role = replica; ${statement}`)).toBe(DENIED);
  }
});

test("row triggers work by themselves: without the statement trigger a row still cannot be changed", async () => {
  for (const table of ["audit.producer", "audit.audit_leaf", "audit.audit_record", "audit.audit_payload"]) {
    const without = `alter table ${table} disable trigger deny_statement`;
    expect(await failure(undefined, `${without}; delete from ${table}`)).toBe(DENIED);
  }
});

test("nothing of this changed the log", async () => {
  await using pool = poolOf(database, "weir_audit");
  for (const table of ["audit.audit_leaf", "audit.audit_record", "audit.audit_payload"]) {
    expect((await pool.query(`select from ${table}`)).rowCount, table).toBe(1);
  }
});
