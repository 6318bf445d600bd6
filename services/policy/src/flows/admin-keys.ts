import { type Clock, WeirError } from "@weir/kernel";
import { API_KEY_RANDOM_BYTES, apiKeyOf, isMistyped, shownPrefix } from "../domain/api-key.ts";
import {
  type Caller,
  grantable,
  isWithin,
  missing,
  onlyWorkspace,
  requireMayHold,
  requireMayManage,
  requireVisible,
} from "../domain/authority.ts";
import type { KeyPolicy, Scope } from "../domain/key-policy.ts";
import { NO_RULES, type Rules } from "../domain/rules.ts";
import type { KeyRow, Keysmith, KeyStore, Place } from "../ports.ts";
import type { FindKey } from "./admit.ts";
import { type AdminDependencies, checkedRules, listedWorkspace } from "./admin-places.ts";

export interface KeyDependencies extends AdminDependencies {
  readonly keys: KeyStore;
  readonly keyOf: FindKey;
  readonly clock: Clock;
}

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

/** A key's text is stored nowhere. */
export interface KeyAndSecret {
  readonly key: KeyRow;
  readonly secret: string;
}

export async function createKey(dependencies: KeyDependencies, caller: Caller, asked: AskedKey): Promise<KeyAndSecret> {
  const { keys, keysmith, clock, refresh } = dependencies;
  const name = checkedKeyName(asked.name);
  const expiresAtMs = asked.expiresAtMs === undefined ? undefined : checkedExpiry(asked.expiresAtMs, clock);
  const project = await askedProject(dependencies, caller, asked);
  const terms = grantable(
    caller,
    {
      scopes: asked.scopes.length === 0 ? ["inference"] : [...new Set(asked.scopes)],
      rules: checkedRules(asked.rules ?? NO_RULES),
      expiresAtMs,
    },
    { projectId: project.id },
  );
  const secret = newSecret(keysmith);
  const key = await keys.create({
    id: keysmith.newId(),
    projectId: project.id,
    name,
    hash: keysmith.sha256(secret),
    prefix: shownPrefix(secret),
    operator: false,
    ancestors: [],
    endUser: "",
    ...terms,
  });
  await refresh();
  return { key, secret };
}

/** The project that somebody means who names a workspace and a project, or neither. @throws WeirError not_found */
export async function askedProject(
  { directory }: AdminDependencies,
  caller: Caller,
  asked: { readonly workspace: string; readonly project: string },
): Promise<Place> {
  const workspace = await directory.find("workspace", asked.workspace || (onlyWorkspace(caller) ?? "default"));
  requireVisible(caller, workspace, asked.workspace);
  const project = await directory.find("project", asked.project || "default", workspace.id);
  if (project.workspaceId === workspace.id) return project;
  throw new WeirError("not_found", "There is no such project in this workspace.", { param: "project" });
}

export async function listKeys(
  { directory, keys }: KeyDependencies,
  caller: Caller,
  asked: { readonly workspace: string; readonly includeRevoked: boolean; readonly includeShortLived: boolean },
): Promise<KeyRow[]> {
  return keys.list({ ...asked, workspaceId: await listedWorkspace(directory, caller, asked.workspace) });
}

/** @throws WeirError not_found */
export async function getKey({ directory, keys }: KeyDependencies, caller: Caller, keyId: string): Promise<KeyRow> {
  requireVisible(caller, await directory.find("key", keyId), keyId);
  const row = await keys.byId(keyId);
  if (row === undefined) throw missing("key", keyId);
  return row;
}

export interface AskedChange {
  readonly keyId: string;
  /** "": as it is. */
  readonly name: string;
  readonly expiresAtMs: number | "never" | undefined;
  /** Empty: as they are. */
  readonly scopes: readonly Scope[];
  readonly rules: Rules | undefined;
}

/** What makes a key narrower anybody may do who manages it; what makes it wider is given to it as to a new one. */
export async function updateKey(dependencies: KeyDependencies, caller: Caller, asked: AskedChange): Promise<KeyRow> {
  const { keys, clock, refresh } = dependencies;
  const row = await standingKey(dependencies, caller, asked.keyId, "update");
  const name = asked.name === "" ? undefined : checkedKeyName(asked.name);
  if (typeof asked.expiresAtMs === "number") checkedExpiry(asked.expiresAtMs, clock);
  const scopes = asked.scopes.length === 0 ? row.scopes : [...new Set(asked.scopes)];
  const expiresAtMs =
    asked.expiresAtMs === undefined ? row.expiresAtMs : asked.expiresAtMs === "never" ? undefined : asked.expiresAtMs;
  const rules = asked.rules === undefined ? row.rules : checkedRules(asked.rules);
  const isNarrower =
    scopes.every((scope) => row.scopes.includes(scope)) &&
    (expiresAtMs ?? Infinity) <= (row.expiresAtMs ?? Infinity) &&
    isWithin(rules, row.rules);
  const terms = isNarrower ? { scopes, rules, expiresAtMs } : grantable(caller, { scopes, rules, expiresAtMs }, row);
  const guards = "guards" in terms ? [...new Set([...row.guards, ...terms.guards])] : row.guards;
  const changed = await keys.update(row.id, {
    name,
    scopes: terms.scopes,
    rules: terms.rules,
    expiresAtMs: terms.expiresAtMs ?? "never",
    guards,
  });
  await refresh();
  return changed;
}

export const LONGEST_OVERLAP_MS = 30 * 86_400_000;

/** @param overlapMs for so long the texts it had before go on working */
export async function rotateKey(
  dependencies: KeyDependencies,
  caller: Caller,
  asked: { readonly keyId: string; readonly overlapMs: number },
): Promise<KeyAndSecret> {
  const { keys, keysmith, clock, refresh, keyOf } = dependencies;
  if (!(asked.overlapMs >= 0 && asked.overlapMs <= LONGEST_OVERLAP_MS)) {
    throw new WeirError("invalid_request", "An overlap is at most 30 days.", { param: "overlap_ms" });
  }
  const row = await standingKey(dependencies, caller, asked.keyId, "rotate");
  const policy = await keyOf(row.id);
  if (policy instanceof WeirError) throw policy;
  requireMayHold(caller, row, { scopes: row.scopes, rules: policy.rules, expiresAtMs: row.expiresAtMs });
  const secret = newSecret(keysmith);
  const text = { hash: keysmith.sha256(secret), prefix: shownPrefix(secret) };
  const key = await keys.rotate(row.id, text, clock.nowMs() + asked.overlapMs);
  await refresh();
  return { key, secret };
}

/** A key that lives, is no short-lived one, and no issuer's: those are minted anew, or changed with their issuer. */
async function standingKey(
  dependencies: KeyDependencies,
  caller: Caller,
  keyId: string,
  what: "rotate" | "update",
): Promise<KeyRow> {
  const row = await getKey(dependencies, caller, keyId);
  requireMayManage(caller, row, what);
  if (row.revokedAtMs !== undefined)
    throw new WeirError("invalid_request", "This key was revoked.", { param: "key_id" });
  if (row.ancestors.length > 0) {
    throw new WeirError("invalid_request", "A short-lived key stays as it is: mint another.", { param: "key_id" });
  }
  // An operator's own text is not shown either.
  if (row.prefix === "" && !row.operator) {
    throw new WeirError("invalid_request", "This key is an issuer's: change that.", { param: "key_id" });
  }
  return row;
}

export async function revokeKey(
  dependencies: KeyDependencies,
  caller: Caller,
  asked: { readonly keyId: string; readonly endRequests: boolean },
): Promise<KeyRow> {
  const row = await getKey(dependencies, caller, asked.keyId);
  requireMayManage(caller, row, "revoke");
  const revoked = await dependencies.keys.revoke(row.id, asked.endRequests);
  await dependencies.refresh();
  return revoked;
}

/**
 * Who shows this key. Looked up in the store and not only among the pushed keys: administration is rare, and a key that another replica
 * made or revoked a moment ago counts already.
 * @throws WeirError invalid_key, expired_key
 */
export async function keyBySecret(
  { keys, keysmith, keyOf, clock }: Pick<KeyDependencies, "keys" | "keysmith" | "keyOf" | "clock">,
  secret: string,
): Promise<KeyPolicy> {
  const row = await keys.byHash(keysmith.sha256(secret));
  if (row === undefined && isMistyped(secret)) throw new WeirError("invalid_key", "This key is mistyped or cut off.");
  if (row === undefined || row.revokedAtMs !== undefined) throw new WeirError("invalid_key", "There is no such key.");
  requireLiving(row.expiresAtMs, clock.nowMs());
  const key = await keyOf(row.id);
  if (key instanceof WeirError) throw key;
  requireLiving(key.expiresAtMs, clock.nowMs());
  return { ...key, scopes: key.scopes.filter((scope) => row.scopes.includes(scope)) };
}

function requireLiving(expiresAtMs: number | undefined, nowMs: number): void {
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) throw new WeirError("expired_key", "This key has expired.");
}

function checkedKeyName(name: string): string {
  if (name.length >= 1 && name.length <= 128) return name;
  throw new WeirError("invalid_request", "A key's name has 1 to 128 characters.", { param: "name" });
}

function checkedExpiry(expiresAtMs: number, clock: Clock): number {
  if (expiresAtMs > clock.nowMs()) return expiresAtMs;
  throw new WeirError("invalid_request", "This key would have expired already.", { param: "expires_at_ms" });
}
