import type pg from "pg";
import { missing } from "../domain/authority.ts";
import type { Scope } from "../domain/key-policy.ts";
import type { Rules } from "../domain/rules.ts";
import type { IssuerRow, IssuerStore } from "../ports.ts";
import { endKeys } from "./postgres-keys.ts";
import { insertKey, noteChangesBelow } from "./postgres-seed.ts";
import { directoryChange, withClearErrors } from "./postgres-transaction.ts";
import { rulesFromJson, rulesToJson } from "./rules-json.ts";

const SELECT = `select i.id, p.workspace_id, i.project_id, i.name, i.key_id, i.url, i.jwks_url, i.audiences, i.algorithms, i.required_claims,
  i.end_user_claim, i.ttl_ms, k.scopes, k.rules, extract(epoch from i.created_at) * 1000 as created
  from issuer i join project p on p.id = i.project_id join api_key k on k.id = i.key_id`;

interface Columns {
  readonly id: string;
  readonly workspace_id: string;
  readonly project_id: string;
  readonly name: string;
  readonly key_id: string;
  readonly url: string;
  readonly jwks_url: string;
  readonly audiences: string[];
  readonly algorithms: string[];
  readonly required_claims: Record<string, string>;
  readonly end_user_claim: string;
  readonly ttl_ms: string;
  readonly scopes: Scope[];
  readonly rules: Partial<Rules>;
  readonly created: string;
}

const issuerRow = (row: Columns): IssuerRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  projectId: row.project_id,
  name: row.name,
  keyId: row.key_id,
  url: row.url,
  jwksUrl: row.jwks_url,
  audiences: row.audiences,
  algorithms: row.algorithms,
  requiredClaims: row.required_claims,
  endUserClaim: row.end_user_claim,
  ttlMs: Number(row.ttl_ms),
  scopes: row.scopes,
  rules: rulesFromJson(row.rules),
  createdAtMs: Math.floor(Number(row.created)),
});

export function postgresIssuers(pool: pg.Pool): IssuerStore {
  const found = async (client: pg.Pool | pg.PoolClient, condition: string, value: unknown): Promise<IssuerRow[]> =>
    (await client.query<Columns>(`${SELECT} where ${condition} order by i.created_at, i.id`, [value])).rows.map(
      issuerRow,
    );

  return {
    put: ({ id, projectId, name, terms }, key) =>
      directoryChange(pool, async (client) => {
        const { rows } = await client.query<{ id: string; key_id: string; revoked: boolean }>(
          `select i.id, i.key_id, k.revoked_at is not null as revoked from issuer i join api_key k on k.id = i.key_id
            where i.project_id = $1 and i.name = $2`,
          [projectId, name],
        );
        const [old] = rows;
        if (old === undefined || old.revoked) {
          await insertKey(client, key);
        } else {
          await client.query(
            "update api_key set scopes = $2, rules = $3, expires_at = to_timestamp($4::float8 / 1000) where id = $1",
            [old.key_id, key.scopes, rulesToJson(key.rules), key.expiresAtMs ?? null],
          );
          await noteChangesBelow(client, "key", old.key_id);
        }
        const keyId = old === undefined || old.revoked ? key.id : old.key_id;
        await client.query(
          `insert into issuer (id, project_id, name, key_id, url, jwks_url, audiences, algorithms, required_claims, end_user_claim, ttl_ms)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (project_id, name) do update set key_id = $4, url = $5, jwks_url = $6, audiences = $7, algorithms = $8,
              required_claims = $9, end_user_claim = $10, ttl_ms = $11`,
          [
            id,
            projectId,
            name,
            keyId,
            terms.url,
            terms.jwksUrl,
            terms.audiences,
            terms.algorithms,
            JSON.stringify(terms.requiredClaims),
            terms.endUserClaim,
            terms.ttlMs,
          ],
        );
        const [row] = await found(client, "i.id = $1", old?.id ?? id);
        if (row === undefined) throw missing("issuer", name);
        return row;
      }),

    list: (workspaceId) =>
      withClearErrors(() => found(pool, "$1::uuid is null or p.workspace_id = $1", workspaceId ?? null)),
    byUrl: (url) => withClearErrors(() => found(pool, "i.url = $1", url)),
    byId: (id) => withClearErrors(async () => (await found(pool, "i.id = $1", id))[0]),

    remove: (id, endRequests) =>
      directoryChange(pool, async (client) => {
        const { rows } = await client.query<{ key_id: string }>("delete from issuer where id = $1 returning key_id", [
          id,
        ]);
        if (rows[0] !== undefined) await endKeys(client, rows[0].key_id, endRequests);
      }),
  };
}
