import type { Wanted } from "@weir/config";
import { policy } from "@weir/contracts";
import type { Connection } from "../connection.ts";

export interface ActualWorkspace {
  readonly workspace: policy.Workspace;
  readonly projects: readonly policy.Project[];
  readonly attributes: readonly policy.Attribute[];
  readonly issuers: readonly policy.Issuer[];
  readonly webhook: policy.Webhook | undefined;
}

/** What there is, as far as a file may touch it. */
export interface Actual {
  readonly organizations: readonly policy.Organization[];
  /** Those that the file names. */
  readonly workspaces: ReadonlyMap<string, ActualWorkspace>;
  readonly budgets: readonly policy.Budget[];
  readonly limits: readonly policy.Limit[];
}

export async function readActual({ client, call }: Connection, wanted: Wanted): Promise<Actual> {
  const admin = client(policy.PolicyAdminService);
  const books = client(policy.BudgetService);
  const [{ organizations }, { workspaces }, { budgets }, { limits }] = await Promise.all([
    admin.listOrganizations({}, call),
    admin.listWorkspaces({}, call),
    admin.listBudgets({}, call),
    admin.listLimits({}, call),
  ]);
  const named = workspaces.filter(({ name }) => wanted.workspaces.some((workspace) => workspace.name === name));
  const found = named.map(async (workspace): Promise<[string, ActualWorkspace]> => {
    const of = { workspace: workspace.id };
    const [{ projects }, { attributes }, { issuers }, { webhooks }] = await Promise.all([
      admin.listProjects(of, call),
      admin.listAttributes(of, call),
      admin.listIssuers(of, call),
      books.listWebhooks(of, call),
    ]);
    return [workspace.name, { workspace, projects, attributes, issuers, webhook: webhooks[0] }];
  });
  return { organizations, workspaces: new Map(await Promise.all(found)), budgets, limits };
}
