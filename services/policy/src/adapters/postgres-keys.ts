import { WeirError } from "@weir/kernel";
import type pg from "pg";
import { missing } from "../domain/authority.ts";
import type { KeyRow, KeyStore } from "../ports.ts";
import * as columns from "./postgres-rows.ts";
import { insertBudget, insertKey, noteChangesBelow } from "./postgres-seed.ts";
import { directoryChange, withClearErrors } from "./postgres-transaction.ts";
import { rulesToJson } from "./rules-json.ts";

/** A short-lived key leaves the replicas' memory so long after it expired; until then its user is told that it did. */
const REMEMBERED = "1 hour";
/** Its row stays for whoever reads its id in the log. */
const KEPT = "30 days";

const FROM = "from api_key k join project p on p.id = k.project_id";

/** A key and those that were minted from it. The condition on '{}' is the index's. */
const FAMILY = `select id from api_key where id = $1
  union all select id from api_key where ancestors <> '{}' and ancestors @> array[$1::uuid]`;

export function postgresKeys(pool: pg.Pool): KeyStore {
  return {
    create: (key) =>
      directoryChange(pool, async (client) => {
        await insertKey(client, key);
        return existing(await keyWhere(client, "k.id = $1", key.id), key.id);
      }),

    mint: (key, budgets, most) =>
      directoryChange(pool, async (client) => {
        const { rows } = await client.query<{ above: string; beside: string }>(
          `select (select count(*) from api_key where id = any($1) and revoked_at is null) as above,
            (select count(*) from (select from api_key where ancestors <> '{}' and ancestors @> array[$2::uuid] and revoked_at is null
              and not forgotten and expires_at > now() limit $3) live) as beside`,
          [key.ancestors, key.ancestors[0], most],
        );
        if (Number(rows[0]?.above) !== key.ancestors.length)
          throw new WeirError("invalid_key", "This key is not known, or it was revoked.");
        if (Number(rows[0]?.beside) >= most) {
          const message = `A key has at most ${most} short-lived keys at a time.`;
          throw new WeirError("rate_limited", message, { retryAfterMs: 60_000 });
        }
        await insertKey(client, key);
        for (const terms of budgets) await insertBudget(client, { kind: "key", id: key.id }, terms);
        return existing(await keyWhere(client, "k.id = $1", key.id), key.id);
      }),

    async list({ workspaceId, includeRevoked, includeShortLived }) {
      const found = await withClearErrors(() =>
        pool.query<columns.KeyColumns>(
          `select ${columns.KEY} ${FROM} where ($1::uuid is null or p.workspace_id = $1) and ($2 or k.revoked_at is null)
            and ($3 or k.ancestors = '{}') order by k.created_at, k.id`,
          [workspaceId ?? null, includeRevoked, includeShortLived],
        ),
      );
      return found.rows.map(columns.keyRow);
    },

    byId: (id) => withClearErrors(() => keyWhere(pool, "k.id = $1", id)),

    byHash: (hash) =>
      withClearErrors(async () => {
        const key = await keyWhere(pool, "k.hash = $1", hash);
        if (key !== undefined) return key;
        const { rows } = await pool.query<{ key_id: string; expires: string }>(
          "select key_id, extract(epoch from expires_at) * 1000 as expires from retired_secret where hash = $1",
          [hash],
        );
        if (rows[0] === undefined) return undefined;
        const rotated = await keyWhere(pool, "k.id = $1", rows[0].key_id);
        const untilMs = Math.floor(Number(rows[0].expires));
        return rotated && { ...rotated, expiresAtMs: Math.min(untilMs, rotated.expiresAtMs ?? untilMs) };
      }),

    update: (id, { name, expiresAtMs, scopes, rules, guards }) =>
      directoryChange(pool, async (client) => {
        await client.query(
          `update api_key set name = coalesce($2, name), scopes = coalesce($3, scopes), rules = coalesce($4, rules),
            guards = coalesce($5, guards), expires_at = case when $6 then to_timestamp($7::float8 / 1000) else expires_at end
            where id = $1`,
          [
            id,
            name ?? null,
            scopes ?? null,
            rules === undefined ? null : rulesToJson(rules),
            guards ?? null,
            expiresAtMs !== undefined,
            expiresAtMs === "never" ? null : (expiresAtMs ?? null),
          ],
        );
        await noteChangesBelow(client, "key", id);
        return existing(await keyWhere(client, "k.id = $1", id), id);
      }),

    rotate: (id, { hash, prefix }, untilMs) =>
      directoryChange(pool, async (client) => {
        const until = "to_timestamp($2::float8 / 1000)";
        await client.query(
          `update retired_secret set expires_at = ${until} where key_id = $1 and expires_at > ${until}`,
          [id, untilMs],
        );
        await client.query(
          `insert into retired_secret (hash, key_id, prefix, expires_at) select hash, id, prefix, ${until} from api_key where id = $1`,
          [id, untilMs],
        );
        await client.query("update api_key set hash = $2, prefix = $3 where id = $1", [id, hash, prefix]);
        await client.query("select note_changes(array[$1::uuid])", [id]);
        return existing(await keyWhere(client, "k.id = $1", id), id);
      }),

    revoke: (id, endRequests) =>
      directoryChange(pool, async (client) => {
        await endKeys(client, id, endRequests);
        return existing(await keyWhere(client, "k.id = $1", id), id);
      }),

    recordUses: (uses) =>
      withClearErrors(async () => {
        // In one order: two replicas that write the same keys must not wait for each other.
        await pool.query(
          `insert into key_use (key_id, used_at)
            select k.id, to_timestamp(u.at / 1000) from unnest($1::uuid[], $2::float8[]) u(id, at) join api_key k on k.id = u.id order by k.id
            on conflict (key_id) do update set used_at = excluded.used_at where key_use.used_at < excluded.used_at`,
          [uses.map(({ keyId }) => keyId), uses.map(({ atMs }) => atMs)],
        );
      }),

    forgetExpired: (most) =>
      directoryChange(pool, async (client) => {
        const { rows } = await client.query<{ id: string }>(
          `update api_key set forgotten = true where id in (select id from api_key where ancestors <> '{}' and not forgotten
            and expires_at < now() - interval '${REMEMBERED}' order by expires_at limit $1) returning id`,
          [most],
        );
        const ids = rows.map(({ id }) => id);
        if (ids.length === 0) return 0;
        // What it spent stays in the ledger; it bounds nobody any more, and need not be listed.
        await client.query(
          "update budget set retired_at = now() where place = 'key' and place_id = any($1) and retired_at is null",
          [ids],
        );
        await client.query("delete from rate_limit where place = 'key' and place_id = any($1)", [ids]);
        await client.query("select note_changes($1::uuid[])", [ids]);
        return ids.length;
      }),

    deleteForgotten: (most) =>
      withClearErrors(async () => {
        const { rowCount } = await pool.query(
          `delete from api_key where id in (select id from api_key where forgotten and expires_at < now() - interval '${KEPT}'
            order by expires_at limit $1 for update skip locked)`,
          [most],
        );
        return rowCount ?? 0;
      }),
  };
}

/** Revokes a key and those that were minted from it; inside its caller's directoryChange(). */
export async function endKeys(client: pg.PoolClient, id: string, endRequests: boolean): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `update api_key set revoked_at = coalesce(revoked_at, now()), end_requests = $2
      where id in (${FAMILY}) and (revoked_at is null or $2 and not end_requests) returning id`,
    [id, endRequests],
  );
  if (rows.length > 0) await client.query("select note_changes($1::uuid[])", [rows.map((row) => row.id)]);
}

async function keyWhere(client: pg.Pool | pg.PoolClient, condition: string, value: unknown) {
  const { rows } = await client.query<columns.KeyColumns>(`select ${columns.KEY} ${FROM} where ${condition}`, [value]);
  return rows[0] === undefined ? undefined : columns.keyRow(rows[0]);
}

function existing(row: KeyRow | undefined, id: string): KeyRow {
  if (row === undefined) throw missing("key", id);
  return row;
}
