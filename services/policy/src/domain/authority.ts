import { WeirError } from "@weir/kernel";
import type { KeyPolicy, PlaceKind, Scope } from "./key-policy.ts";
import { mergeRules, type Rules } from "./rules.ts";

/**
 * Who administers: the operator (the admin token) everything; a key with the admin scope its own workspace, without being able to
 * widen what bounds itself. The key made from the operator's configuration has full rights in its workspace.
 */
export type Caller = { readonly kind: "operator" } | { readonly kind: "key"; readonly key: KeyPolicy };

/** A place as far as rights are concerned. */
interface PlaceOfWorkspace {
  readonly kind: PlaceKind;
  readonly id: string;
  readonly workspaceId: string | undefined;
}

/** The only workspace that the caller may see; undefined: all. */
export const onlyWorkspace = (caller: Caller): string | undefined =>
  caller.kind === "operator" ? undefined : caller.key.workspaceId;

/** @throws WeirError permission_denied */
export function requireOperator(caller: Caller): void {
  if (caller.kind !== "operator") throw denied("This needs the admin token.");
}

/** What a caller is told of a place that is not there. */
export const missing = (kind: PlaceKind, name: string): WeirError =>
  new WeirError("not_found", `There is no ${kind} "${name.slice(0, 80)}".`, { param: kind });

/** @throws WeirError not_found: what lies outside its workspace does not exist for a key, and is told so in the same words */
export function requireVisible(caller: Caller, place: PlaceOfWorkspace, name: string): void {
  if (caller.kind === "operator" || place.workspaceId === caller.key.workspaceId) return;
  throw missing(place.kind, name);
}

/** @throws WeirError permission_denied: a key of the workspace must not shut out the one that the operator's configuration brings */
export function requireMayRevoke(caller: Caller, key: { readonly operator: boolean }): void {
  if (caller.kind === "key" && key.operator && !caller.key.operator)
    throw denied("Only the operator may revoke this key.");
}

/** Whether the caller may set what bounds a place. @throws WeirError */
export function requireMayBound(caller: Caller, place: PlaceOfWorkspace, name: string): void {
  if (caller.kind === "operator") return;
  if (place.kind === "organization") throw denied("This needs the admin token.");
  requireVisible(caller, place, name);
  const { key } = caller;
  if (key.operator) return;
  if (place.id === key.workspaceId || place.id === key.projectId || place.id === key.keyId) {
    throw denied("A key cannot change what bounds itself.");
  }
}

export interface KeyTerms {
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  readonly expiresAtMs: number | undefined;
}

/** What a new key gets of what was asked for: never more than its maker has. @throws WeirError permission_denied */
export function grantable(caller: Caller, asked: KeyTerms): KeyTerms {
  if (caller.kind === "operator" || caller.key.operator) return asked;
  const { key } = caller;
  const missing = asked.scopes.find((scope) => !key.scopes.includes(scope));
  if (missing !== undefined) throw denied(`This key has no scope "${missing}" to give.`);
  if (key.expiresAtMs !== undefined && (asked.expiresAtMs === undefined || asked.expiresAtMs > key.expiresAtMs)) {
    throw denied("A key cannot make one that outlives it.");
  }
  return { ...asked, rules: mergeRules([asked.rules, key.rules]) };
}

const denied = (message: string): WeirError => new WeirError("permission_denied", message);
