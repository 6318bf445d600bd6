import type pg from "pg";
import type { BudgetTerms, LimitTerms, NewKey, Place, SeedPlan, SeedWorkspace, WorkspaceRow } from "../ports.ts";
import { rulesToJson } from "./rules-json.ts";

// The writes that both administrators and a first start make; each inside its caller's directoryChange().

export async function insertWorkspace(client: pg.PoolClient, row: WorkspaceRow, projectId: string): Promise<void> {
  await client.query(
    "insert into workspace (id, organization_id, name, payloads, rules, time_zone) values ($1, $2, $3, $4, $5, $6)",
    [row.id, row.organizationId, row.name, row.payloads, rulesToJson(row.rules), row.timeZone ?? "UTC"],
  );
  await client.query("insert into project (id, workspace_id, name) values ($1, $2, 'default')", [projectId, row.id]);
}

export async function insertKey(client: pg.PoolClient, key: NewKey): Promise<void> {
  await client.query(
    `insert into api_key (id, project_id, name, hash, prefix, scopes, rules, operator, expires_at, ancestors, guards, end_user)
      values ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9::float8 / 1000), $10, $11, $12)`,
    [
      key.id,
      key.projectId,
      key.name,
      key.hash,
      key.prefix,
      key.scopes,
      rulesToJson(key.rules),
      key.operator,
      key.expiresAtMs ?? null,
      key.ancestors,
      key.guards,
      key.endUser,
    ],
  );
  await client.query("select note_changes(array[$1::uuid])", [key.id]);
}

/** An end user and a tag are told of with their workspace, not with each of its keys. */
export const noteChangesBelow = (client: pg.PoolClient, kind: Place["kind"], id: string): Promise<unknown> =>
  kind === "end-user" || kind === "tag"
    ? client.query("select note_changes(array(select workspace_id from attribute where id = $1))", [id])
    : client.query("select note_changes(keys_below($1, $2))", [kind, id]);

interface At {
  readonly kind: Place["kind"];
  readonly id: string;
}

/** Puts a budget: the one of that place, unit, period and kind of subject gets these terms and is opened. */
export async function insertBudget(client: pg.PoolClient, place: At, terms: BudgetTerms): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `insert into budget (place, place_id, unit, period, limit_amount, hard, per, max_identical_calls) values ($1, $2, $3, $4, $5, $6, $7, $8)
      on conflict (place_id, unit, period, per)
      do update set limit_amount = $5, hard = $6, max_identical_calls = $8, closed = false, retired_at = null returning id`,
    [
      place.kind,
      place.id,
      terms.unit,
      terms.period,
      terms.limit,
      terms.hard,
      terms.per ?? "none",
      terms.maxIdenticalCalls ?? null,
    ],
  );
  return (rows[0] as { id: number }).id;
}

export async function insertLimit(client: pg.PoolClient, place: At, terms: LimitTerms): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `insert into rate_limit (place, place_id, per, unit, amount, window_ms, burst, fail_closed, only_for, queue)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
      on conflict (place_id, per, unit, window_ms, only_for) do update set amount = $5, burst = $7, fail_closed = $8, queue = $10 returning id`,
    [
      place.kind,
      place.id,
      terms.per,
      terms.unit,
      terms.amount,
      terms.windowMs,
      terms.burst,
      terms.failClosed,
      terms.only ?? "",
      terms.queue === undefined ? null : JSON.stringify(terms.queue),
    ],
  );
  return (rows[0] as { id: number }).id;
}

export async function seed(client: pg.PoolClient, plan: SeedPlan): Promise<boolean> {
  await client.query("insert into organization (id, name) values ($1, $2) on conflict (name) do nothing", [
    plan.organization.id,
    plan.organization.name,
  ]);
  const organizationId = await idOf(client, "select id from organization where name = $1", plan.organization.name);
  for (const workspace of plan.workspaces) await seedWorkspace(client, workspace, organizationId);

  const { always, ...key } = plan.key;
  const known = always
    ? await client.query(
        "select hash from api_key where hash = $1 union all select hash from retired_secret where hash = $1",
        [key.hash],
      )
    : await client.query("select from api_key limit 1");
  if (known.rowCount !== 0) return false;
  const projectId = await idOf(
    client,
    "select p.id from project p join workspace w on w.id = p.workspace_id where w.name = $1 and p.name = 'default'",
    "default",
  );
  await insertKey(client, { ...key, projectId });
  return true;
}

async function seedWorkspace(client: pg.PoolClient, workspace: SeedWorkspace, organizationId: string): Promise<void> {
  const known = await client.query("select from workspace where name = $1", [workspace.name]);
  if (known.rowCount !== 0) return;
  await insertWorkspace(client, { ...workspace, organizationId }, workspace.projectId);
  const place: At = { kind: "workspace", id: workspace.id };
  for (const terms of workspace.budgets) await insertBudget(client, place, terms);
  for (const terms of workspace.limits) await insertLimit(client, place, terms);
}

async function idOf(client: pg.PoolClient, text: string, name: string): Promise<string> {
  const { rows } = await client.query<{ id: string }>(text, [name]);
  if (rows[0] === undefined) throw new Error(`"${name}" is missing right after it was made`);
  return rows[0].id;
}
