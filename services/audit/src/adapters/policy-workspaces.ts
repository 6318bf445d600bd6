import type { Client } from "@connectrpc/connect";
import type { RetentionSeed, WeirConfig } from "@weir/config";
import type { policy } from "@weir/contracts";
import type { WorkspaceRetention } from "../config.ts";

const TIMEOUT_MS = 5_000;

/**
 * What weir.yaml says of the retention of workspaces, whose ids policy knows. Policy is asked only where it says something.
 * @param client throws where nobody said where policy is
 */
export function workspaceRetention(
  { workspaces, adminToken }: Pick<WeirConfig, "workspaces" | "adminToken">,
  client: () => Client<typeof policy.PolicyAdminService>,
): WorkspaceRetention {
  const seeds = new Map<string, RetentionSeed>();
  for (const { name, retention } of workspaces.values()) if (retention !== undefined) seeds.set(name, retention);
  return {
    seeds,
    async idsOf(names) {
      if (adminToken === undefined) throw new Error("to ask policy for the ids of workspaces, set WEIR_ADMIN_TOKEN");
      const headers = { authorization: `Bearer ${adminToken.reveal()}` };
      const found = await client().listWorkspaces({}, { headers, timeoutMs: TIMEOUT_MS });
      return new Map(found.workspaces.filter(({ name }) => names.includes(name)).map(({ name, id }) => [name, id]));
    },
  };
}
