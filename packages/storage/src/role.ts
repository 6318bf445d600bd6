import pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import { clientConfig, type DatabaseAddress } from "./pool.ts";

/**
 * Makes sure that `role` exists, cannot log in, and may be taken by the connecting user. Roles belong to the whole server, so other
 * services, other replicas and other databases may be doing the same at this moment. Changes nothing, and needs no rights, where all is set.
 * @throws Error where the role is missing and the connecting user may not make it
 */
export async function ensureRole(address: DatabaseAddress, role: string): Promise<void> {
  const client = new pg.Client({ ...clientConfig(address, {}), connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    for (let tries = 0; ; tries++) {
      try {
        return await grantRole(client, role);
      } catch (error) {
        if (!isRace(error) || tries === 20) throw error;
        await sleep(5 + 5 * tries);
      }
    }
  } finally {
    await client.end();
  }
}

async function grantRole(client: pg.Client, role: string): Promise<void> {
  const name = client.escapeIdentifier(role);
  const exists = await client.query("select from pg_roles where rolname = $1", [role]);
  if (exists.rowCount === 0) {
    await client.query(`create role ${name} nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls`);
  }
  // Before Postgres 16 membership brings SET ROLE with it; since then its maker gets ADMIN only and must grant itself the rest.
  const member = await client.query<{ member: boolean }>(
    `select case when current_setting('server_version_num')::int >= 160000
       then pg_has_role($1, 'SET') else pg_has_role($1, 'MEMBER') end as member`,
    [role],
  );
  if (member.rows[0]?.member !== true) await client.query(`grant ${name} to current_user`);
}

/** Somebody else was quicker: duplicate_object, unique_violation, or "tuple concurrently updated" (which has no code of its own). */
function isRace(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  if (error.code === "42710" || error.code === "23505") return true;
  return error.code === "XX000" && error.message.includes("concurrently");
}
