import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DatabaseAddress } from "@weir/storage";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { postgresRetention } from "../src/adapters/postgres-retention.ts";
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
  "retention_policy",
  "legal_hold",
  "legal_hold_release",
  "retention_run",
  "removed_payload",
];
/** What only functions write. */
const READ_ONLY = ["log", "retention_policy", "legal_hold", "legal_hold_release", "retention_run", "removed_payload"];
const LOG = TABLES.map((table) => `audit.${table}`);
const CHANGES: Readonly<Record<string, string>> = {
  "audit.repricing": "version = 'x'",
  "audit.producer": "name = 'x'",
  "audit.tree_head": "size = 99",
  "audit.signing_key": "endorsement = ''",
  "audit.head_publication": "size = 99",
  "audit.log": "id = gen_random_uuid()",
  "audit.retention_policy": "since_ms = 0",
  "audit.legal_hold": "workspace = 'x'",
  "audit.legal_hold_release": "reason = 'x'",
  "audit.retention_run": "record = 99",
};
const changeOf = (table: string): string => `update ${table} set ${CHANGES[table] ?? "index = 99"}`;
const HOLD = "0199e5a0-0000-7000-8000-000000000000";
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
  const retention = postgresRetention(pool);
  await retention.setPolicy("workspace", { recordsMs: 60_000, payloadsMs: 60_000 });
  const hold = await retention.place(HOLD, { workspaceId: "held", keyId: "", fromMs: 0, toMs: 0 }, "case 7");
  await retention.release(hold.id, "settled");
});
/** One connection each: a thousand statements are tried. */
const pools = new Map<string | undefined, ReturnType<typeof poolOf>>();
afterAll(async () => {
  for (const pool of pools.values()) await pool.end();
  await server[Symbol.asyncDispose]();
});

/** The SQLSTATE a statement fails with; undefined if it succeeds. */
async function failure(role: string | undefined, statement: string): Promise<string | undefined> {
  let pool = pools.get(role);
  if (pool === undefined) pools.set(role, (pool = poolOf(database, role)));
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
    `create trigger t before delete on ${table} for each row execute function pg_catalog.suppress_redundant_updates_trigger()`,
    `alter table ${table} add column mine int`,
    `alter table ${table} set schema public`,
    `alter table ${table} disable rule "_RETURN"`,
    `create policy p on ${table} using (true)`,
    `copy ${table} from program 'true'`,
    `lock table ${table} in access exclusive mode`,
    // Without a grant option this grants nothing, with a warning only.
    `grant all on ${table} to ${role}; delete from ${table}`,
  ]);
  const others = [
    "drop schema audit cascade",
    "create table audit.mine (id int)",
    "drop function audit.deny() cascade",
    ...["deny", "deny_unless_retained"].map(
      (name) =>
        `create or replace function audit.${name}() returns trigger language plpgsql as $$ begin return null; end $$`,
    ),
    "create or replace function audit.now_ms() returns bigint language sql return 99999999999999",
    "alter function audit.retain owner to current_user",
    "alter function audit.retain set search_path = pg_temp",
    "alter function audit.retain security invoker",
    "alter function audit.now_ms() rename to then_ms",
    "drop function audit.keeping",
    "drop function audit.retain",
    "alter schema audit rename to mine",
    "select audit.append_own(10::smallint, 'workspace', '', 0, '')",
    "select audit.deny_unless_retained()",
    "alter role weir_audit superuser",
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
    ...Object.fromEntries(TABLES.map((table) => [table, READ_ONLY.includes(table) ? "SELECT" : "INSERT,SELECT"])),
    producer_progress: "INSERT,SELECT,UPDATE",
  });
  const owned = await owner.query(
    "select relname from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = 'weir_audit'",
  );
  expect(owned.rows).toEqual([]);
});

test("every table of the schema is in this matrix, and every function that it may call is known", async () => {
  await using owner = poolOf(database);
  const tables = await owner.query<{ relname: string }>(
    "select relname from pg_class where relnamespace = 'audit'::regnamespace and relkind in ('r', 'p', 'v', 'm') order by 1",
  );
  const bookkeeping = ["migration", "producer_progress"];
  expect(tables.rows.map(({ relname }) => relname)).toEqual([...TABLES, ...bookkeeping].toSorted());
  const functions = await owner.query<{ name: string; definer: boolean; path: string }>(
    `select proname as name, prosecdef as definer, array_to_string(proconfig, ' ') as path from pg_proc
     where pronamespace = 'audit'::regnamespace and has_function_privilege('weir_audit', oid, 'execute') order by 1`,
  );
  expect([...new Set(functions.rows.map(({ name }) => name))]).toEqual([
    "append",
    "held",
    "keeping",
    "now_ms",
    "place_hold",
    "policy_at",
    "release_hold",
    "retain",
    "set_retention",
  ]);
  // What has more rights than its caller looks nowhere that its caller can write to.
  const definers = functions.rows.filter(({ definer }) => definer);
  expect(definers.map(({ name }) => name)).toEqual(["place_hold", "release_hold", "retain", "set_retention"]);
  for (const { path } of definers) expect(path).toMatch(/^search_path=audit, pg_temp/);
  const open = await owner.query(
    "select proname from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where pronamespace = 'audit'::regnamespace and a.grantee = 0",
  );
  expect(open.rows).toEqual([]);
});

/** Runs as the log's writer, in a transaction that is undone. */
async function asWriter<T>(work: (query: (text: string) => Promise<readonly object[]>) => Promise<T>): Promise<T> {
  await using pool = poolOf(database, "weir_audit");
  const client = await pool.connect();
  try {
    await client.query("begin");
    return await work(async (text) => (await client.query<object>(text)).rows);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

describe("the one function that removes", () => {
  const removals =
    "select coalesce(sum(removed), 0)::int as removed from audit.retain('records', null, null, 1000, false)";

  test.each([
    "select * from audit.retain('records', 'workspace', -9223372036854775808, 2147483647, false)",
    "select * from audit.retain('payloads', null, 9223372036854775807, 0, false)",
    "select * from audit.retain('payloads', '%', null, -5, false)",
    "select * from audit.retain('records', $q$' or true --$q$, null, null, false)",
  ])("removes nothing before its time: %s", async (call) => {
    const rows = await asWriter((query) => query(call));
    expect(rows).toMatchObject([{ workspace: null, removed: "0" }]);
  });

  test.each([
    ["select audit.retain(null, null, null, null, false)", "22023"],
    ["select audit.retain('everything', null, null, null, false)", "22023"],
    ["select audit.set_retention(null, false, 60000, 60000)", "22023"],
    ["select audit.set_retention('w', false, 1, 60000)", "23514"],
    ["select audit.set_retention('w', false, -60000, 60000)", "22023"],
    ["select audit.set_retention('', true, null, null)", "23514"],
    ["select audit.set_retention(repeat('w', 257), false, 60000, 60000)", "22023"],
    ["select audit.set_retention(E'w\\x1f', false, 60000, 60000)", "22023"],
    ["select audit.place_hold(null, 'w', '', 0, null, 'x')", "22023"],
    [`select audit.place_hold('${HOLD}', 'w', '', 0, null, 'x')`, "23505"],
    ["select audit.place_hold(gen_random_uuid(), '', '', 0, null, 'x')", "22023"],
    ["select audit.place_hold(gen_random_uuid(), 'w', null, 0, null, 'x')", "22023"],
    ["select audit.place_hold(gen_random_uuid(), 'w', '', 5, 5, 'x')", "22023"],
    ["select audit.place_hold(gen_random_uuid(), 'w', '', 0, null, '')", "22023"],
    ["select audit.release_hold(gen_random_uuid(), 'x')", "P0002"],
  ])("refuses %s", async (call, code) => {
    expect(await failure("weir_audit", call)).toBe(code);
  });

  test("goes by no clock, policy or path of its caller's", async () => {
    const tricks = [
      "set local search_path = pg_temp, public",
      "set local timezone = 'Etc/GMT-14'",
      "create temp table retention_policy as select * from audit.retention_policy; update pg_temp.retention_policy set since_ms = 0",
      "create temp table audit_record as select * from audit.audit_record; update pg_temp.audit_record set stored_at = 'epoch'",
      "create function pg_temp.now_ms() returns bigint language sql return 99999999999999",
      `create function pg_temp.lt(bigint, bigint) returns boolean language sql return true;
       create operator pg_temp.< (leftarg = bigint, rightarg = bigint, function = pg_temp.lt)`,
      "set local row_security = off",
    ];
    for (const trick of tricks) {
      const rows = await asWriter(async (query) => {
        await query(trick);
        return query(removals);
      });
      expect(rows, trick).toEqual([{ removed: 0 }]);
    }
    // It can make no policy that was always there, nor a run that was never made.
    for (const table of READ_ONLY.slice(1)) {
      expect(await failure("weir_audit", `insert into audit.${table} select * from audit.${table}`), table).toMatch(
        /^(42501|428C9)$/,
      );
    }
  });

  test("a policy of a minute does not let it remove what is a minute old before seven days; under a hold nothing does", async () => {
    await using owner = poolOf(database);
    const client = await owner.connect();
    try {
      await client.query("begin");
      const age = (days: number): Promise<unknown> =>
        client.query(
          `alter table audit_record disable trigger all; alter table retention_policy disable trigger all;
           update audit_record set stored_at = now() - interval '2 days';
           update retention_policy set since_ms = (extract(epoch from now()) * 1000)::bigint - ${days}::bigint * 86400000;
           alter table audit_record enable always trigger deny_row; alter table audit_record enable always trigger deny_statement`,
        );
      const removed = async (): Promise<unknown> => {
        await client.query("set local role weir_audit");
        const { rows } = await client.query<{ removed: number }>(removals);
        await client.query("set local role none");
        return rows[0]?.removed;
      };
      await age(6);
      expect(await removed()).toBe(0);
      await age(8);
      await client.query("select audit.place_hold(gen_random_uuid(), 'workspace', 'key', 0, null, 'case 8')");
      expect(await removed()).toBe(0);
      await client.query("select audit.release_hold(id, 'x') from audit.legal_hold where workspace = 'workspace'");
      expect(await removed()).toBe(1);
      // The run named one row, in this transaction: nothing else may go, and not the leaf.
      for (const statement of [
        "delete from audit.audit_record",
        "delete from audit.audit_leaf",
        "update audit.audit_record set header = ''",
        "truncate audit.audit_record",
      ]) {
        await client.query("savepoint s");
        await expect(client.query(statement), statement).rejects.toMatchObject({ code: DENIED });
        await client.query("rollback to s");
      }
    } finally {
      await client.query("rollback");
      client.release();
    }
  });
});

test.each(["weir_policy", "weir_evaluation"])("%s may not even read", async (role) => {
  for (const table of LOG) expect(await failure(role, `select from ${table}`)).toBe(DENIED);
  for (const call of [
    "audit.retain('records', null, null, null, false)",
    "audit.set_retention('w', false, 60000, 60000)",
    `audit.release_hold('${HOLD}', 'x')`,
  ])
    expect(await failure(role, `select ${call}`)).toBe(DENIED);
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
  for (const [table, rows] of [
    ["audit.audit_leaf", 4],
    ["audit.audit_record", 4],
    ["audit.audit_payload", 1],
    ["audit.retention_run", 0],
  ] as const) {
    expect((await pool.query(`select from ${table}`)).rowCount, table).toBe(rows);
  }
});
