import { type AttributeKind, type AttributeTable, attributeTable, type Rules } from "@weir/rules";
import type pg from "pg";
import type { AttributePolicy, BudgetOnPath } from "../domain/key-policy.ts";
import { BUDGET_ON_PATH, LIMIT_ON_PATH, type LimitColumn, limitsOnPath } from "./limit-columns.ts";
import { rulesFromJson } from "./rules-json.ts";

/** Those that bound something, or did: the others are names that somebody once used. */
const ATTRIBUTES = `
  select a.id, a.workspace_id, w.name as workspace, a.kind, a.name, a.value, a.rules, b.list as budgets, coalesce(b.had, false) as had_budget, l.list as limits
  from attribute a join workspace w on w.id = a.workspace_id
    left join lateral (
      select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(${BUDGET_ON_PATH})) order by b.id) filter (where b.retired_at is null) as list,
        bool_or(b.retired_at is not null) as had
      from budget b where b.place_id = a.id) b on true
    left join lateral (select jsonb_agg(jsonb_build_object(${LIMIT_ON_PATH}) order by l.id) as list from rate_limit l where l.place_id = a.id) l on true
  where ($1::uuid[] is null or a.workspace_id = any($1)) and (a.rules <> '{}' or b.had is not null or l.list is not null)
  order by a.workspace_id, a.id`;

interface AttributeColumns {
  readonly id: string;
  readonly workspace_id: string;
  readonly workspace: string;
  readonly kind: AttributeKind;
  readonly name: string;
  readonly value: string;
  readonly rules: Partial<Rules>;
  readonly budgets: BudgetOnPath[] | null;
  readonly had_budget: boolean;
  readonly limits: LimitColumn[] | null;
}

/** "ann", "team=search" */
const placeName = ({ name, value }: AttributeColumns): string => (value === "" ? name : `${name}=${value}`);

function attributeOf(row: AttributeColumns): AttributePolicy {
  const named = { placeName: placeName(row) };
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    value: row.value,
    rules: rulesFromJson(row.rules),
    budgets: (row.budgets ?? []).map((budget) => ({ ...budget, ...named })),
    limits: limitsOnPath(row.limits ?? [], row.workspace).map((limit) => ({ ...limit, ...named })),
    hadBudget: row.had_budget,
  };
}

/** @param workspaces those asked for, each of which comes back; null: all that have some */
export async function attributeTables(
  client: pg.PoolClient,
  workspaces: readonly string[] | null,
): Promise<Map<string, AttributeTable<AttributePolicy> | undefined>> {
  const { rows } = await client.query<AttributeColumns>(ATTRIBUTES, [workspaces]);
  const byWorkspace = Map.groupBy(rows, (row) => row.workspace_id);
  const asked = workspaces ?? [...byWorkspace.keys()];
  return new Map(asked.map((id) => [id, attributeTable((byWorkspace.get(id) ?? []).map(attributeOf))]));
}
