/** What weir.yaml says of retention, for a log that was told nothing of it: from then on, the log's own policies count. */
import type { RetentionTimes } from "../domain/retention.ts";
import type { RetentionStore } from "../ports.ts";

export interface RetentionSeeds {
  /** Of workspaces that have none of their own. */
  readonly all: RetentionTimes | undefined;
  /** By the workspace's name. */
  readonly workspaces: ReadonlyMap<string, RetentionTimes>;
  /** Ids by name; names that there are none of are left out. Rejects while nobody can tell. */
  readonly idsOf: (names: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** Safe to repeat, and to be done by several replicas. */
export async function seedRetention(
  store: Pick<RetentionStore, "policies" | "setPolicy">,
  { all, workspaces, idsOf }: RetentionSeeds,
): Promise<void> {
  if (all === undefined && workspaces.size === 0) return;
  const known = new Set((await store.policies()).map(({ workspaceId }) => workspaceId));
  if (all !== undefined && !known.has("")) await store.setPolicy("", all);
  if (workspaces.size === 0) return;
  const ids = await idsOf([...workspaces.keys()]);
  for (const [name, times] of workspaces) {
    const id = ids.get(name);
    if (id !== undefined && !known.has(id)) await store.setPolicy(id, times);
  }
}
