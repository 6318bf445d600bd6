import { WeirError } from "@weir/kernel";
import type { AttributeKind, Rules } from "@weir/rules";
import type pg from "pg";
import { missing } from "../domain/authority.ts";
import type { AttributeRow, DirectoryAdmin, Place } from "../ports.ts";
import * as columns from "./postgres-rows.ts";
import { insertBudget, insertLimit, noteChangesBelow } from "./postgres-seed.ts";
import { directoryChange, withClearErrors } from "./postgres-transaction.ts";
import { rulesFromJson, rulesToJson } from "./rules-json.ts";

/** The organization's place and the workspace's own: where budgets and limits on a workspace's paths stand. */
const PLACES_OF_WORKSPACE = `
  select w.organization_id from workspace w where w.id = $1 union all select $1
  union all select p.id from project p where p.workspace_id = $1
  union all select a.id from attribute a where a.workspace_id = $1
  union all select k.id from api_key k join project p on p.id = k.project_id where p.workspace_id = $1`;

const TABLES: Record<Place["kind"], string> = {
  organization: "organization",
  workspace: "workspace",
  project: "project",
  key: "api_key",
  "end-user": "attribute",
  tag: "attribute",
};

/** All of a workspace's travel to every ingress when one changes. */
const MOST_ATTRIBUTES = 10_000;

type Bounds = Pick<
  DirectoryAdmin,
  | "putBudget"
  | "retireBudget"
  | "budget"
  | "budgets"
  | "putLimit"
  | "deleteLimit"
  | "limit"
  | "limits"
  | "putRules"
  | "attributes"
  | "attribute"
>;

/** What is set for places: budgets, limits and rules. */
export function postgresBounds(pool: pg.Pool): Bounds {
  const rows = <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> =>
    withClearErrors(async () => (await pool.query<T>(text, values)).rows);

  return {
    putBudget: (place, terms) =>
      directoryChange(pool, async (client) => {
        const id = await insertBudget(client, place, terms);
        await noteChangesBelow(client, place.kind, place.id);
        const found = await client.query<columns.BudgetColumns>(`select ${columns.BUDGET} where b.id = $1`, [id]);
        return columns.budgetRow(found.rows[0] as columns.BudgetColumns);
      }),
    retireBudget: ({ id, place }) =>
      directoryChange(pool, async (client) => {
        await client.query("update budget set retired_at = now() where id = $1 and retired_at is null", [id]);
        await noteChangesBelow(client, place.kind, place.id);
      }),
    async budget(id) {
      const [row] = await rows<columns.BudgetColumns>(
        `select ${columns.BUDGET} where b.id = $1 and b.retired_at is null`,
        [id],
      );
      return row === undefined ? undefined : columns.budgetRow(row);
    },
    async budgets(workspaceId) {
      const found = await rows<columns.BudgetColumns>(
        `select ${columns.BUDGET} where b.retired_at is null and ($1::uuid is null or b.place_id in (${PLACES_OF_WORKSPACE})) order by b.id`,
        [workspaceId ?? null],
      );
      return found.map(columns.budgetRow);
    },

    putLimit: (place, terms) =>
      directoryChange(pool, async (client) => {
        const id = await insertLimit(client, place, terms);
        await noteChangesBelow(client, place.kind, place.id);
        const found = await client.query<columns.LimitColumns>(
          `select ${columns.LIMIT} from rate_limit l where l.id = $1`,
          [id],
        );
        return columns.limitRow(found.rows[0] as columns.LimitColumns);
      }),
    deleteLimit: ({ id, place }) =>
      directoryChange(pool, async (client) => {
        await client.query("delete from rate_limit where id = $1", [id]);
        await noteChangesBelow(client, place.kind, place.id);
      }),
    async limit(id) {
      const [row] = await rows<columns.LimitColumns>(`select ${columns.LIMIT} from rate_limit l where l.id = $1`, [id]);
      return row === undefined ? undefined : columns.limitRow(row);
    },
    async limits(workspaceId) {
      const found = await rows<columns.LimitColumns>(
        `select ${columns.LIMIT} from rate_limit l where $1::uuid is null or l.place_id in (${PLACES_OF_WORKSPACE}) order by l.id`,
        [workspaceId ?? null],
      );
      return found.map(columns.limitRow);
    },

    putRules: ({ kind, id }, rules) =>
      directoryChange(pool, async (client) => {
        const text = `update ${TABLES[kind]} set rules = $2 where id = $1`;
        const { rowCount } = await client.query(text, [id, rulesToJson(rules)]);
        if (rowCount !== 1) throw missing(kind, id);
        await noteChangesBelow(client, kind, id);
      }),

    async attributes(workspaceId) {
      const found = await rows<AttributeColumns>(
        `select id, workspace_id, kind, name, value, rules from attribute
          where rules <> '{}' and ($1::uuid is null or workspace_id = $1) order by workspace_id, kind, name, value`,
        [workspaceId ?? null],
      );
      return found.map(attributeRow);
    },
    attribute: (workspace, { kind, name, value }, newId) =>
      directoryChange(pool, async (client): Promise<Place> => {
        const of = [workspace.id, kind, name, value];
        const find = "select id from attribute where workspace_id = $1 and kind = $2 and name = $3 and value = $4";
        let id = (await client.query<{ id: string }>(find, of)).rows[0]?.id;
        if (id === undefined) {
          const size = await client.query<{ size: number }>(
            "select count(*)::int as size from attribute where workspace_id = $1",
            [workspace.id],
          );
          if ((size.rows[0]?.size ?? 0) >= MOST_ATTRIBUTES) {
            const message = `A workspace has bounds for at most ${MOST_ATTRIBUTES} end users and tags. A budget or limit "per end user" counts each by itself.`;
            throw new WeirError("invalid_request", message, { param: "place" });
          }
          await client.query(
            "insert into attribute (workspace_id, kind, name, value, id) values ($1, $2, $3, $4, $5)",
            [...of, newId],
          );
          id = newId;
        }
        const shown = value === "" ? name : `${name}=${value}`;
        return { kind, id, name: shown, workspaceId: workspace.id, organizationId: workspace.organizationId };
      }),
  };
}

interface AttributeColumns {
  readonly id: string;
  readonly workspace_id: string;
  readonly kind: AttributeKind;
  readonly name: string;
  readonly value: string;
  readonly rules: Partial<Rules>;
}

const attributeRow = (row: AttributeColumns): AttributeRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  kind: row.kind,
  name: row.name,
  value: row.value,
  rules: rulesFromJson(row.rules),
});
