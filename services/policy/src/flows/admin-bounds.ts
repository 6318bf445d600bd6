/** What is set for places, beside what is put: taken away, and rules of every kind of place. */
import { WeirError } from "@weir/kernel";
import {
  type Caller,
  boundedRules,
  missing,
  onlyWorkspace,
  requireMayBound,
  requireVisible,
} from "../domain/authority.ts";
import type { Rules } from "../domain/rules.ts";
import type { AttributeRow, PlaceOfRow } from "../ports.ts";
import { type KeyDependencies, updateKey } from "./admin-keys.ts";
import { type AdminDependencies, type AskedPlace, boundable, checkedRules, listedWorkspace } from "./admin-places.ts";

/** @throws WeirError not_found, permission_denied */
export async function deleteBudget(dependencies: AdminDependencies, caller: Caller, id: string): Promise<void> {
  const { directory, refresh } = dependencies;
  const budget = await directory.budget(numberOf(id));
  if (budget === undefined) throw missing("budget", id);
  await requireMayChange(dependencies, caller, budget.place, "budget", id);
  await directory.retireBudget(budget);
  await refresh();
}

export async function deleteLimit(dependencies: AdminDependencies, caller: Caller, id: string): Promise<void> {
  const { directory, refresh } = dependencies;
  const limit = await directory.limit(numberOf(id));
  if (limit === undefined) throw missing("limit", id);
  await requireMayChange(dependencies, caller, limit.place, "limit", id);
  await directory.deleteLimit(limit);
  await refresh();
}

/** Ids of budgets and limits count up; what is no number is none of them. */
const numberOf = (id: string): number => (/^\d{1,9}$/.test(id) ? Number(id) : 0);

async function requireMayChange(
  { directory }: AdminDependencies,
  caller: Caller,
  place: PlaceOfRow,
  what: "budget" | "limit",
  id: string,
): Promise<void> {
  const { kind, attribute } = place;
  const found =
    kind === "end-user" || kind === "tag"
      ? { ...(await directory.find("workspace", attribute?.workspaceId ?? "")), kind, id: place.id }
      : await directory.find(kind, place.id);
  // What is not seen is not there: of an organization its own keys know, and are told that it is not theirs to set.
  if (kind !== "organization") requireVisible(caller, found, id);
  requireMayBound(caller, found, id, what);
}

/** Replaces the rules of a place. @returns them as they are in force: never wider than the caller's own */
export async function putRules(
  dependencies: KeyDependencies,
  caller: Caller,
  asked: AskedPlace,
  rules: Rules,
): Promise<Rules> {
  const { directory, refresh } = dependencies;
  const checked = checkedRules(rules);
  if (asked.kind === "key") {
    const unchanged = { name: "", expiresAtMs: undefined, scopes: [] };
    return (await updateKey(dependencies, caller, { ...unchanged, keyId: asked.name, rules: checked })).rules;
  }
  if ((asked.kind === "end-user" || asked.kind === "tag") && checked.fixedTags.length > 0) {
    const message = "Tags are fixed for keys and what stands above them, not for end users and tags.";
    throw new WeirError("invalid_request", message, { param: "rules.fixed_tags" });
  }
  const place = await boundable(dependencies, caller, asked, "rules");
  const granted = boundedRules(caller, checked);
  await directory.putRules(place, granted);
  await refresh();
  return granted;
}

export async function listAttributes(
  { directory }: AdminDependencies,
  caller: Caller,
  workspace: string,
): Promise<AttributeRow[]> {
  const id = await listedWorkspace(directory, caller, workspace || (onlyWorkspace(caller) ?? ""));
  return directory.attributes(id);
}
