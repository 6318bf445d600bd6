import { type Clock, WeirError } from "@weir/kernel";
import { API_KEY_RANDOM_BYTES, apiKeyOf, isMistyped, shownPrefix } from "../domain/api-key.ts";
import {
  type Caller,
  grantable,
  missing,
  onlyWorkspace,
  requireMayRevoke,
  requireVisible,
} from "../domain/authority.ts";
import type { Scope } from "../domain/key-policy.ts";
import { NO_RULES, type Rules } from "../domain/rules.ts";
import type { DirectoryAdmin, KeyRow, Keysmith } from "../ports.ts";
import type { FindKey } from "./admit.ts";
import { type AdminDependencies, checkedRules, listedWorkspace } from "./admin-places.ts";

/** A new key's text. */
export function newSecret(keysmith: Keysmith): string {
  for (;;) {
    const secret = apiKeyOf(keysmith.random(API_KEY_RANDOM_BYTES));
    if (secret !== undefined) return secret;
  }
}

export interface AskedKey {
  /** "": `default`, or the caller's own. */
  readonly workspace: string;
  /** "": `default`. */
  readonly project: string;
  readonly name: string;
  readonly expiresAtMs: number | undefined;
  /** Empty: inference. */
  readonly scopes: readonly Scope[];
  readonly rules: Rules | undefined;
}

/** @returns the secret, which is stored nowhere */
export async function createKey(
  { directory, keysmith, refresh }: AdminDependencies,
  clock: Clock,
  caller: Caller,
  asked: AskedKey,
): Promise<{ key: KeyRow; secret: string }> {
  if (asked.name.length < 1 || asked.name.length > 128) {
    throw new WeirError("invalid_request", "A key's name has 1 to 128 characters.", { param: "name" });
  }
  if (asked.expiresAtMs !== undefined && asked.expiresAtMs <= clock.nowMs()) {
    throw new WeirError("invalid_request", "This key would have expired already.", { param: "expires_at_ms" });
  }
  const terms = grantable(caller, {
    scopes: asked.scopes.length === 0 ? ["inference"] : [...new Set(asked.scopes)],
    rules: checkedRules(asked.rules ?? NO_RULES),
    expiresAtMs: asked.expiresAtMs,
  });
  const workspace = await directory.find("workspace", asked.workspace || (onlyWorkspace(caller) ?? "default"));
  requireVisible(caller, workspace, asked.workspace);
  const project = await directory.find("project", asked.project || "default", workspace.id);
  if (project.workspaceId !== workspace.id) {
    throw new WeirError("not_found", "There is no such project in this workspace.", { param: "project" });
  }
  const secret = newSecret(keysmith);
  const key = await directory.createKey({
    id: keysmith.newId(),
    projectId: project.id,
    name: asked.name,
    hash: keysmith.sha256(secret),
    prefix: shownPrefix(secret),
    operator: false,
    ...terms,
  });
  await refresh();
  return { key, secret };
}

export async function listKeys(
  { directory }: AdminDependencies,
  caller: Caller,
  workspace: string,
  includeRevoked: boolean,
): Promise<KeyRow[]> {
  return directory.keys(await listedWorkspace(directory, caller, workspace), includeRevoked);
}

export async function revokeKey(
  { directory, refresh }: AdminDependencies,
  caller: Caller,
  keyId: string,
): Promise<KeyRow> {
  const place = await directory.find("key", keyId);
  requireVisible(caller, place, keyId);
  const key = await directory.keyById(place.id);
  if (key === undefined) throw missing("key", keyId);
  requireMayRevoke(caller, key);
  const row = await directory.revokeKey(place.id);
  await refresh();
  return row;
}

/**
 * Who shows this key. Looked up in the store and not among the pushed keys: administration is rare, and a key that another replica made
 * or revoked a moment ago counts already.
 * @throws WeirError invalid_key, expired_key, permission_denied
 */
export async function adminByKey(
  directory: DirectoryAdmin,
  keysmith: Keysmith,
  keyOf: FindKey,
  nowMs: number,
  secret: string,
): Promise<Caller> {
  const row = await directory.keyByHash(keysmith.sha256(secret));
  if (row === undefined && isMistyped(secret)) throw new WeirError("invalid_key", "This key is mistyped or cut off.");
  if (row === undefined || row.revokedAtMs !== undefined) throw new WeirError("invalid_key", "There is no such key.");
  if (row.expiresAtMs !== undefined && row.expiresAtMs <= nowMs)
    throw new WeirError("expired_key", "This key has expired.");
  if (!row.scopes.includes("admin")) throw new WeirError("permission_denied", "This key has no admin scope.");
  const key = await keyOf(row.id);
  if (key instanceof WeirError) throw key;
  return { kind: "key", key };
}
