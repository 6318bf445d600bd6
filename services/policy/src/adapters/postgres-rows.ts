import type { BudgetUnit, LimitSubject, LimitUnit, PayloadChoice, Scope } from "../domain/key-policy.ts";
import type { QueueTerms } from "../domain/limit-terms.ts";
import type { BudgetPeriod } from "../domain/periods.ts";
import type { BudgetSubject } from "../domain/subjects.ts";
import type { Rules } from "../domain/rules.ts";
import type { BudgetRow, KeyRow, LimitRow, OrganizationRow, PlaceOfRow, ProjectRow, WorkspaceRow } from "../ports.ts";
import { rulesFromJson } from "./rules-json.ts";

/** Columns of each table as the readers below expect them. Timestamps as text of milliseconds. */
export const WORKSPACE = "w.id, w.organization_id, w.name, w.payloads, w.rules, w.time_zone";
export const PROJECT = "p.id, p.workspace_id, p.name, p.rules";
export const KEY = `k.id, p.workspace_id, k.project_id, k.name, k.prefix, k.scopes, k.rules, k.operator,
  extract(epoch from k.created_at) * 1000 as created, extract(epoch from k.expires_at) * 1000 as expires,
  extract(epoch from k.revoked_at) * 1000 as revoked, k.ancestors, k.guards, k.end_user,
  (select extract(epoch from u.used_at) * 1000 from key_use u where u.key_id = k.id) as used,
  (select jsonb_agg(jsonb_build_object('prefix', r.prefix, 'expiresAtMs', floor(extract(epoch from r.expires_at) * 1000)) order by r.expires_at)
    from retired_secret r where r.key_id = k.id and r.expires_at > now()) as retired`;
/** The end user or tag that a budget or limit is for. */
function attributeOf(alias: string): string {
  return `(select jsonb_build_object('workspaceId', a.workspace_id, 'name', a.name, 'value', a.value) from attribute a
    where a.id = ${alias}.place_id) as attribute`;
}

/** Of a budget that is one for each run or end user: the sums over all of them, and how many they are. */
export const BUDGET = `b.id, b.place, b.place_id, ${attributeOf("b")}, b.unit, b.period, b.limit_amount, b.hard, b.closed, b.per, b.max_identical_calls, b.time_zone,
  t.held, t.spent, t.subjects, extract(epoch from coalesce(t.start_at, c.start_at)) * 1000 as start,
  extract(epoch from nullif(coalesce(t.end_at, c.end_at), 'infinity')) * 1000 as end
  from budget b cross join budget_time(b.period, now(), b.time_zone) c cross join lateral (
    select coalesce(sum(p.held), 0) as held, coalesce(sum(p.spent), 0) as spent, count(*) as subjects, min(p.start_at) as start_at, max(p.end_at) as end_at
    from budget_period p where p.budget_id = b.id and p.end_at > now()) t`;
export const LIMIT = `l.id, l.place, l.place_id, ${attributeOf("l")}, l.per, l.unit, l.amount, l.window_ms, l.burst, l.fail_closed,
  l.only_for, l.queue`;

const ms = (text: string | null): number | undefined => (text === null ? undefined : Math.floor(Number(text)));

export interface WorkspaceColumns {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly payloads: PayloadChoice;
  readonly rules: Partial<Rules>;
  readonly time_zone: string;
}

export const workspaceRow = (row: WorkspaceColumns): WorkspaceRow => ({
  id: row.id,
  organizationId: row.organization_id,
  name: row.name,
  payloads: row.payloads,
  rules: rulesFromJson(row.rules),
  timeZone: row.time_zone,
});

export interface OrganizationColumns {
  readonly id: string;
  readonly name: string;
  readonly rules: Partial<Rules>;
}

export const organizationRow = ({ id, name, rules }: OrganizationColumns): OrganizationRow => ({
  id,
  name,
  rules: rulesFromJson(rules),
});

export interface ProjectColumns {
  readonly id: string;
  readonly workspace_id: string;
  readonly name: string;
  readonly rules: Partial<Rules>;
}

export const projectRow = (row: ProjectColumns): ProjectRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  name: row.name,
  rules: rulesFromJson(row.rules),
});

export interface KeyColumns {
  readonly id: string;
  readonly workspace_id: string;
  readonly project_id: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: Scope[];
  readonly rules: Partial<Rules>;
  readonly operator: boolean;
  readonly created: string;
  readonly expires: string | null;
  readonly revoked: string | null;
  readonly ancestors: string[];
  readonly guards: string[];
  readonly end_user: string;
  readonly used: string | null;
  readonly retired: { readonly prefix: string; readonly expiresAtMs: number }[] | null;
}

export const keyRow = (row: KeyColumns): KeyRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  projectId: row.project_id,
  name: row.name,
  prefix: row.prefix,
  scopes: row.scopes,
  rules: rulesFromJson(row.rules),
  operator: row.operator,
  createdAtMs: ms(row.created) ?? 0,
  expiresAtMs: ms(row.expires),
  revokedAtMs: ms(row.revoked),
  ancestors: row.ancestors,
  guards: row.guards,
  endUser: row.end_user,
  lastUsedAtMs: ms(row.used),
  retired: row.retired ?? [],
});

interface PlaceColumns {
  readonly place: PlaceOfRow["kind"];
  readonly place_id: string;
  readonly attribute: PlaceOfRow["attribute"] | null;
}

const placeOf = ({ place: kind, place_id: id, attribute }: PlaceColumns): PlaceOfRow =>
  attribute === null || attribute === undefined ? { kind, id } : { kind, id, attribute };

export interface BudgetColumns extends PlaceColumns {
  readonly id: number;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly limit_amount: string;
  readonly hard: boolean;
  readonly closed: boolean;
  readonly per: BudgetSubject;
  readonly max_identical_calls: number | null;
  readonly time_zone: string;
  readonly held: string;
  readonly spent: string;
  readonly subjects: string;
  readonly start: string;
  readonly end: string | null;
}

export const budgetRow = (row: BudgetColumns): BudgetRow => ({
  id: row.id,
  place: placeOf(row),
  unit: row.unit,
  period: row.period,
  limit: BigInt(row.limit_amount),
  hard: row.hard,
  closed: row.closed,
  per: row.per,
  maxIdenticalCalls: row.max_identical_calls ?? undefined,
  timeZone: row.time_zone,
  held: BigInt(row.held),
  spent: BigInt(row.spent),
  subjects: Number(row.subjects),
  periodStartMs: ms(row.start) ?? 0,
  periodEndMs: ms(row.end),
});

export interface LimitColumns extends PlaceColumns {
  readonly id: number;
  readonly per: LimitSubject;
  readonly unit: LimitUnit;
  readonly amount: string;
  readonly window_ms: string;
  readonly burst: string;
  readonly fail_closed: boolean;
  readonly only_for: string;
  readonly queue: QueueTerms | null;
}

export const limitRow = (row: LimitColumns): LimitRow => ({
  id: row.id,
  place: placeOf(row),
  per: row.per,
  unit: row.unit,
  amount: Number(row.amount),
  windowMs: Number(row.window_ms),
  burst: Number(row.burst),
  failClosed: row.fail_closed,
  only: row.only_for,
  queue: row.queue ?? undefined,
});
