import type pg from "pg";
import { isEmpty, least, PAYLOADS, type PayloadChoice } from "@weir/rules";
import type { BudgetOnPath, KeyPolicy, RuleLevel, Scope } from "../domain/key-policy.ts";
import { type KeyTerms, termsOfChain } from "../domain/key-chain.ts";
import { mergeRules, type Rules } from "../domain/rules.ts";
import type { Change, DirectoryState, DirectoryStore } from "../ports.ts";
import { BUDGET_ON_PATH, LIMIT_ON_PATH, type LimitColumn, limitsOnPath } from "./limit-columns.ts";
import { attributeTables } from "./postgres-attributes.ts";
import { rulesFromJson } from "./rules-json.ts";

/** How many of the newest changes `load` brings along, for watchers that come from another replica. */
const CHANGES_ON_LOAD = 1000;
/** An expired key stays known for so long, so that its user is told that it expired and not that there is no such key. */
const EXPIRED_KEPT = "1 day";

const TERMS = (alias: string): string =>
  `jsonb_build_object('scopes', ${alias}.scopes, 'rules', ${alias}.rules, 'endUser', ${alias}.end_user,
    'expiresAtMs', floor(extract(epoch from ${alias}.expires_at) * 1000))`;

const VIEWS = `
  with place as (
    select k.id as key_id, v.kind, v.id, v.name, v.rank from api_key k
      join project p on p.id = k.project_id join workspace w on w.id = p.workspace_id join organization o on o.id = w.organization_id,
      lateral (values ('organization', o.id, o.name, 1), ('workspace', w.id, w.name, 2), ('project', p.id, p.name, 3), ('key', k.id, k.name, 1000)) v(kind, id, name, rank)
    where k.revoked_at is null and not k.forgotten and ($1::uuid[] is null or k.id = any($1))
    union all
    select k.id, 'key', a.id, a.name, 4 + cardinality(a.ancestors) from api_key k join api_key a on a.id = any(k.ancestors)
    where k.ancestors <> '{}' and k.revoked_at is null and not k.forgotten and ($1::uuid[] is null or k.id = any($1))
  ), budgets as (
    select key_id, jsonb_agg(jsonb_strip_nulls(jsonb_build_object(${BUDGET_ON_PATH}, 'placeName', place.name)) order by place.rank, b.id)
        filter (where b.retired_at is null) as list, bool_or(b.retired_at is not null) as had
    from place join budget b on b.place_id = place.id and b.place = place.kind group by key_id
  ), limits as (
    select key_id, jsonb_agg(jsonb_build_object(${LIMIT_ON_PATH}, 'placeName', place.name) order by place.rank, l.id) as list
    from place join rate_limit l on l.place_id = place.id and l.place = place.kind group by key_id
  ), retired as (
    select key_id, jsonb_agg(jsonb_build_object('hash', encode(hash, 'hex'), 'expiresAtMs', floor(extract(epoch from expires_at) * 1000))) as list
    from retired_secret where expires_at > now() - interval '${EXPIRED_KEPT}' and ($1::uuid[] is null or key_id = any($1)) group by key_id
  )
  select k.id, k.hash, r.list as retired, k.name, k.ancestors, k.guards, k.operator,
    ${TERMS("k")} as terms, case when k.ancestors <> '{}' then (
      select jsonb_agg(${TERMS("a")} order by cardinality(a.ancestors)) from api_key a where a.id = any(k.ancestors)) end as terms_above,
    p.id as project_id, p.name as project, p.rules as project_rules, w.id as workspace_id, w.name as workspace, w.payloads, w.rules as workspace_rules,
    o.id as organization_id, o.name as organization, o.rules as organization_rules, b.list as budgets, coalesce(b.had, false) as had_budget, l.list as limits
  from api_key k join project p on p.id = k.project_id join workspace w on w.id = p.workspace_id join organization o on o.id = w.organization_id
    left join budgets b on b.key_id = k.id left join limits l on l.key_id = k.id
    left join retired r on r.key_id = k.id
  where k.revoked_at is null and not k.forgotten and (k.expires_at is null or k.expires_at > now() - interval '${EXPIRED_KEPT}')
    and ($1::uuid[] is null or k.id = any($1))`;

interface TermsColumn {
  readonly scopes: Scope[];
  readonly rules: Partial<Rules>;
  readonly endUser: string;
  readonly expiresAtMs: number | null;
}

const termsOf = (column: TermsColumn): KeyTerms => ({
  ...column,
  rules: rulesFromJson(column.rules),
  expiresAtMs: column.expiresAtMs ?? undefined,
});

interface ViewRow {
  readonly id: string;
  readonly hash: Buffer;
  readonly retired: { readonly hash: string; readonly expiresAtMs: number }[] | null;
  readonly name: string;
  readonly ancestors: string[];
  readonly guards: string[];
  readonly operator: boolean;
  readonly terms: TermsColumn;
  readonly terms_above: TermsColumn[] | null;
  readonly project_id: string;
  readonly project: string;
  readonly project_rules: Partial<Rules>;
  readonly workspace_id: string;
  readonly workspace: string;
  readonly payloads: PayloadChoice;
  readonly workspace_rules: Partial<Rules>;
  readonly organization_id: string;
  readonly organization: string;
  readonly organization_rules: Partial<Rules>;
  readonly budgets: BudgetOnPath[] | null;
  readonly had_budget: boolean;
  readonly limits: LimitColumn[] | null;
}

export function postgresDirectory(pool: pg.Pool): DirectoryStore {
  return {
    load: () =>
      snapshot(pool, async (client) => {
        const version = await currentVersion(client);
        const changes = await changesAfter(client, version - CHANGES_ON_LOAD);
        return {
          version,
          keys: await views(client, null),
          attributes: await attributeTables(client, null),
          changes,
          ended: await endedKeys(client, null),
        };
      }),

    async changesSince(since) {
      // Asked twice a second by every replica, and nearly always all there is to know.
      if ((await currentVersion(pool)) === since)
        return { version: since, keys: [], attributes: new Map(), changes: [], ended: [] };
      return snapshot(pool, async (client) => {
        const version = await currentVersion(client);
        if (version < since) return undefined;
        const changes = await changesAfter(client, since);
        if (changes.length !== version - since) return undefined;
        const workspaces = new Set(changes.filter(({ isWorkspace }) => isWorkspace).map(({ keyId }) => keyId));
        const ids = [...new Set(changes.filter(({ isWorkspace }) => !isWorkspace).map(({ keyId }) => keyId))];
        return {
          version,
          keys: ids.length === 0 ? [] : await views(client, ids),
          attributes: workspaces.size === 0 ? new Map() : await attributeTables(client, [...workspaces]),
          changes,
          ended: await endedKeys(client, ids),
        };
      });
    },

    async onChange(callback) {
      const client = await pool.connect();
      client.on("notification", callback);
      // Broken: whoever polls finds out at once, and listens anew when it works again.
      client.once("error", callback);
      try {
        await client.query("listen weir_policy");
      } catch (error) {
        client.release(true);
        throw error;
      }
      return {
        async [Symbol.asyncDispose]() {
          client.release(true);
        },
      };
    },
  };
}

/** Reads version and views of one moment. */
async function snapshot<T extends DirectoryState | undefined>(
  pool: pg.Pool,
  read: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query("begin isolation level repeatable read read only");
    const state = await read(client);
    await client.query("commit");
    broken = false;
    return state;
  } finally {
    client.release(broken);
  }
}

async function currentVersion(client: pg.Pool | pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ current: string }>("select current from version");
  return Number(rows[0]?.current ?? 0);
}

async function changesAfter(client: pg.PoolClient, version: number): Promise<Change[]> {
  const { rows } = await client.query<{ version: string; key_id: string; is_workspace: boolean }>(
    `select version, key_id, exists (select from workspace where id = key_id) as is_workspace
      from change where version > $1 order by version`,
    [version],
  );
  return rows.map((row) => ({ version: Number(row.version), keyId: row.key_id, isWorkspace: row.is_workspace }));
}

/** No request runs for longer (http.answer_timeout): whoever hears of these later has none of theirs any more. */
const ENDED_KEPT = "1 day";

async function endedKeys(client: pg.PoolClient, ids: string[] | null): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `select id from api_key where end_requests and revoked_at > now() - interval '${ENDED_KEPT}' and ($1::uuid[] is null or id = any($1))`,
    [ids],
  );
  return rows.map(({ id }) => id);
}

async function views(client: pg.PoolClient, ids: string[] | null): Promise<KeyPolicy[]> {
  const { rows } = await client.query<ViewRow>(VIEWS, [ids]);
  return rows.map((row) => {
    const terms = termsOfChain([...(row.terms_above ?? []), row.terms].map(termsOf));
    const levels = levelsOf(row, terms.rules);
    const rules = mergeRules(levels.map((level) => level.rules));
    return {
      keyId: row.id,
      hash: row.hash,
      retired: (row.retired ?? []).map(({ hash, expiresAtMs }) => ({ hash: Buffer.from(hash, "hex"), expiresAtMs })),
      ancestors: row.ancestors,
      guards: row.guards,
      organizationId: row.organization_id,
      workspaceId: row.workspace_id,
      workspace: row.workspace,
      projectId: row.project_id,
      name: row.name,
      expiresAtMs: terms.expiresAtMs,
      scopes: terms.scopes,
      endUser: terms.endUser,
      keyRules: terms.rules,
      operator: row.operator,
      payloads: least(PAYLOADS, row.payloads, rules.payloads) ?? row.payloads,
      rules,
      levels,
      budgets: row.budgets ?? [],
      hadBudget: row.had_budget,
      limits: limitsOnPath(row.limits ?? [], row.workspace),
    };
  });
}

/** Of a key with ancestors the last level is all of them together. */
function levelsOf(row: ViewRow, keyRules: Rules): RuleLevel[] {
  const levels: RuleLevel[] = [
    { place: "organization", placeName: row.organization, rules: rulesFromJson(row.organization_rules) },
    { place: "workspace", placeName: row.workspace, rules: rulesFromJson(row.workspace_rules) },
    { place: "project", placeName: `${row.workspace}/${row.project}`, rules: rulesFromJson(row.project_rules) },
    { place: "key", placeName: row.name, rules: keyRules },
  ];
  return levels.filter(({ rules }) => !isEmpty(rules));
}
