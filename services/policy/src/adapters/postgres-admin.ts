import type pg from "pg";
import { missing } from "../domain/authority.ts";
import type { PlaceKind } from "../domain/key-policy.ts";
import type { DirectoryAdmin, Place } from "../ports.ts";
import * as columns from "./postgres-rows.ts";
import { postgresBounds } from "./postgres-bounds.ts";
import { insertWorkspace, noteChangesBelow, seed } from "./postgres-seed.ts";
import { directoryChange, withClearErrors } from "./postgres-transaction.ts";
import { rulesToJson } from "./rules-json.ts";

export function postgresAdmin(pool: pg.Pool): DirectoryAdmin {
  const rows = <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> =>
    withClearErrors(async () => (await pool.query<T>(text, values)).rows);

  return {
    async createOrganization({ id, name }) {
      await rows("insert into organization (id, name) values ($1, $2)", [id, name]);
    },
    async organizations() {
      const found = await rows<columns.OrganizationColumns>("select id, name, rules from organization order by name");
      return found.map(columns.organizationRow);
    },

    async createWorkspace(row, defaultProjectId) {
      await directoryChange(pool, (client) => insertWorkspace(client, row, defaultProjectId));
    },
    updateWorkspace: (id, change) =>
      directoryChange(pool, async (client) => {
        const updated = await client.query<columns.WorkspaceColumns>(
          `update workspace w set payloads = coalesce($2, payloads), rules = coalesce($3, rules), time_zone = coalesce($4, time_zone)
            where id = $1 returning ${columns.WORKSPACE}`,
          [
            id,
            change.payloads ?? null,
            change.rules === undefined ? null : rulesToJson(change.rules),
            change.timeZone ?? null,
          ],
        );
        const row = existing(updated.rows[0], "workspace", id);
        await noteChangesBelow(client, "workspace", id);
        return columns.workspaceRow(row);
      }),
    async workspaces(organizationId) {
      const found = await rows<columns.WorkspaceColumns>(
        `select ${columns.WORKSPACE} from workspace w where $1::uuid is null or w.organization_id = $1 order by w.name`,
        [organizationId ?? null],
      );
      return found.map(columns.workspaceRow);
    },

    async createProject({ id, workspaceId, name, rules }) {
      await rows("insert into project (id, workspace_id, name, rules) values ($1, $2, $3, $4)", [
        id,
        workspaceId,
        name,
        rulesToJson(rules),
      ]);
    },
    async projects(workspaceId) {
      const found = await rows<columns.ProjectColumns>(
        `select ${columns.PROJECT} from project p where p.workspace_id = $1 order by p.name`,
        [workspaceId],
      );
      return found.map(columns.projectRow);
    },

    ...postgresBounds(pool),
    find: (kind, nameOrId, workspaceId) => withClearErrors(() => find(pool, kind, nameOrId, workspaceId)),
    seed: (plan) => directoryChange(pool, (client) => seed(client, plan)),
  };
}

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const PLACE_QUERY: Record<PlaceKind, { byId: string; byName: string }> = {
  organization: {
    byId: "select id, name, null as workspace_id, id as organization_id from organization where id = $1",
    byName:
      "select id, name, null as workspace_id, id as organization_id from organization where name = $1 and $2::uuid is null",
  },
  workspace: {
    byId: "select id, name, id as workspace_id, organization_id from workspace where id = $1",
    byName: "select id, name, id as workspace_id, organization_id from workspace where name = $1 and $2::uuid is null",
  },
  project: {
    byId: "select p.id, p.name, p.workspace_id, w.organization_id from project p join workspace w on w.id = p.workspace_id where p.id = $1",
    byName: `select p.id, p.name, p.workspace_id, w.organization_id from project p join workspace w on w.id = p.workspace_id
      where case when $2::uuid is null then w.name || '/' || p.name = $1 else p.workspace_id = $2 and p.name = $1 end`,
  },
  key: {
    byId: `select k.id, k.name, p.workspace_id, w.organization_id from api_key k join project p on p.id = k.project_id
      join workspace w on w.id = p.workspace_id where k.id = $1`,
    // A key's name need not be unique.
    byName:
      "select null as id, null as name, null as workspace_id, null as organization_id where $1 = '' and $2::uuid is null and false",
  },
};

interface PlaceColumns {
  readonly id: string;
  readonly name: string;
  readonly workspace_id: string | null;
  readonly organization_id: string;
}

async function find(pool: pg.Pool, kind: PlaceKind, nameOrId: string, workspaceId?: string): Promise<Place> {
  const query = PLACE_QUERY[kind];
  const { rows } = ID.test(nameOrId)
    ? await pool.query<PlaceColumns>(query.byId, [nameOrId])
    : await pool.query<PlaceColumns>(query.byName, [nameOrId, kind === "project" ? (workspaceId ?? null) : null]);
  const row = existing(rows[0], kind, nameOrId);
  return {
    kind,
    id: row.id,
    name: row.name,
    workspaceId: row.workspace_id ?? undefined,
    organizationId: row.organization_id,
  };
}

function existing<T>(row: T | undefined, kind: PlaceKind, name: string): T {
  if (row !== undefined) return row;
  throw missing(kind, name);
}
