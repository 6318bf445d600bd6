import { WeirError } from "@weir/kernel";
import type { KeyPolicy, PlaceKind, Scope } from "./key-policy.ts";
import { mergeRules, NO_RULES, type Rules } from "./rules.ts";

/**
 * Who administers, and what they may: decided here and nowhere else. Fails closed: a call that is not in the table below is the operator's.
 *
 * The operator (the admin token) may do everything. A key acts by its scopes, and never widens its own rights: it gives no scope, rule or
 * time that it has not itself, makes no key that would get around a budget or limit that stands on its own path, and sets no bound there.
 */
export type Caller = { readonly kind: "operator" } | { readonly kind: "key"; readonly key: KeyPolicy };

/** What a key's scopes make of it; a workspace's owner is the key that the operator's configuration brings, or the first one. */
export type Role = "viewer" | "billing" | "admin" | "owner" | "organization-admin";

const EVERYBODY: readonly Role[] = ["viewer", "billing", "admin", "owner", "organization-admin"];
const ADMINS: readonly Role[] = ["admin", "owner", "organization-admin"];

/** Who may call which RPC of PolicyAdminService at all; where and for what, the functions below say. */
export const RIGHTS: Readonly<Record<string, readonly Role[]>> = {
  CreateOrganization: [],
  ListOrganizations: EVERYBODY,
  CreateWorkspace: ["organization-admin"],
  UpdateWorkspace: ["owner", "organization-admin"],
  ListWorkspaces: EVERYBODY,
  CreateProject: ADMINS,
  ListProjects: EVERYBODY,
  CreateKey: ADMINS,
  ListKeys: EVERYBODY,
  GetKey: EVERYBODY,
  UpdateKey: ADMINS,
  RotateKey: ADMINS,
  RevokeKey: ADMINS,
  PutIssuer: ADMINS,
  ListIssuers: EVERYBODY,
  DeleteIssuer: ADMINS,
  PutBudget: ["billing", ...ADMINS],
  DeleteBudget: ["billing", ...ADMINS],
  ListBudgets: EVERYBODY,
  PutLimit: ADMINS,
  DeleteLimit: ADMINS,
  ListLimits: EVERYBODY,
  PutRules: ADMINS,
  ListAttributes: EVERYBODY,
  Explain: EVERYBODY,
};

/** The same for BudgetService. */
export const BUDGET_RIGHTS: Readonly<Record<string, readonly Role[]>> = {
  VerifyBudgets: [],
  ListCharges: [],
  ListOwners: [],
  EndOwner: [],
  ListUnresolved: [],
  ResolveCharge: [],
  ListWarnings: EVERYBODY,
  PutWebhook: ["billing", ...ADMINS],
  ListWebhooks: EVERYBODY,
  DeleteWebhook: ["billing", ...ADMINS],
};

const ROLE_OF: Partial<Record<Scope, Role>> = {
  read: "viewer",
  billing: "billing",
  admin: "admin",
  "organization-admin": "organization-admin",
};

/** What a scope includes beside itself. */
const INCLUDED: Partial<Record<Scope, readonly Scope[]>> = {
  billing: ["read"],
  admin: ["read"],
  "organization-admin": ["read", "billing", "admin"],
};
const OWNED: readonly Scope[] = ["inference", "read", "billing", "admin"];

interface Scoped {
  readonly scopes: readonly Scope[];
  readonly operator: boolean;
}

function hasRole({ scopes, operator }: Scoped, role: Role): boolean {
  return (role === "owner" && operator) || scopes.some((scope) => ROLE_OF[scope] === role);
}

/** The scopes that a key has, with all that they include. */
const scopesOf = ({ scopes, operator }: Scoped): ReadonlySet<Scope> =>
  new Set([...(operator ? OWNED : []), ...scopes, ...scopes.flatMap((scope) => INCLUDED[scope] ?? [])]);

/** Who stands above whom: nobody ends, changes or takes over what stands above them. */
function rankOf(key: Scoped): number {
  if (hasRole(key, "organization-admin")) return 3;
  if (key.operator) return 2;
  return hasRole(key, "admin") ? 1 : 0;
}

/** @param rpc the method's name in PolicyAdminService or BudgetService. @throws WeirError permission_denied */
export function requireRight(caller: Caller, rpc: string): void {
  if (caller.kind === "operator") return;
  const { key } = caller;
  if (!EVERYBODY.some((role) => hasRole(key, role))) throw denied("This key has no scope to administer with.");
  const roles = RIGHTS[rpc] ?? BUDGET_RIGHTS[rpc] ?? [];
  if (roles.some((role) => hasRole(key, role))) return;
  throw denied(roles.length === 0 ? "This needs the admin token." : `This needs a key that is ${listed(roles)}.`);
}

const listed = (roles: readonly Role[]): string => roles.join(" or ");

/** A place as far as rights are concerned. */
interface PlaceOfWorkspace {
  readonly kind: PlaceKind | "end-user" | "tag";
  readonly id: string;
  /** Undefined: an organization. */
  readonly workspaceId: string | undefined;
  readonly organizationId: string;
}

/** Whether the caller may look into all workspaces of its organization. */
export const seesOrganization = (caller: Caller): boolean =>
  caller.kind === "operator" || hasRole(caller.key, "organization-admin");

/** The workspace that is meant where none is named; undefined: all that there are. */
export const onlyWorkspace = (caller: Caller): string | undefined =>
  caller.kind === "operator" ? undefined : caller.key.workspaceId;

/** @throws WeirError permission_denied */
export function requireOperator(caller: Caller): void {
  if (caller.kind !== "operator") throw denied("This needs the admin token.");
}

/** What a caller is told of a place that is not there. */
export const missing = (kind: PlaceOfWorkspace["kind"] | "issuer" | "budget" | "limit", name: string): WeirError =>
  new WeirError("not_found", `There is no ${kind} "${name.slice(0, 80)}".`, { param: kind });

/** @throws WeirError not_found: what lies outside its reach does not exist for a key, and is told so in the same words */
export function requireVisible(caller: Caller, place: PlaceOfWorkspace, name: string): void {
  if (caller.kind === "operator") return;
  const { key } = caller;
  if (place.workspaceId !== undefined && place.workspaceId === key.workspaceId) return;
  if (seesOrganization(caller) && place.organizationId === key.organizationId) return;
  throw missing(place.kind, name);
}

/** Whether the caller may set what bounds a place. @throws WeirError */
export function requireMayBound(
  caller: Caller,
  place: PlaceOfWorkspace,
  name: string,
  what: "budget" | "limit" | "rules" = "rules",
): void {
  if (caller.kind === "operator") return;
  if (place.kind === "organization") throw denied("This needs the admin token.");
  requireVisible(caller, place, name);
  const { key } = caller;
  if (rankOf(key) > 1) return;
  if (what === "budget" && hasRole(key, "billing")) return;
  if (!hasRole(key, "admin")) throw denied("This key has no scope to set this.");
  // Any key's requests may be for an end user, or have a tag: its own as well.
  if (place.kind === "end-user" || place.kind === "tag") throw denied("A key cannot change what may bound itself.");
  if (place.id === key.workspaceId || pathOf(key).includes(place.id)) {
    throw denied("A key cannot change what bounds itself, or the one that made it.");
  }
}

/** The places below its workspace whose bounds a key may not change. */
const pathOf = (key: KeyPolicy): readonly string[] => [
  ...new Set([key.projectId, ...key.ancestors, key.keyId, ...key.guards]),
];

/** Each generation of admin keys adds what bounds the one before: at some point it is enough. */
const MOST_GUARDS = 64;

export interface KeyTerms {
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  readonly expiresAtMs: number | undefined;
}

/** What a caller's own rights leave of rules that it gives. */
function boundingRules(key: KeyPolicy): Rules {
  if (hasRole(key, "organization-admin")) return key.keyRules;
  return key.operator ? NO_RULES : key.rules;
}

/** What a caller may give of rules: never more than it has itself. */
export const boundedRules = (caller: Caller, rules: Rules): Rules =>
  caller.kind === "operator" ? rules : mergeRules([rules, boundingRules(caller.key)]);

/**
 * What a key in a project gets of what was asked for: never more than its maker has.
 * @throws WeirError permission_denied
 */
export function grantable(
  caller: Caller,
  asked: KeyTerms,
  place: { readonly projectId: string },
): KeyTerms & { readonly guards: readonly string[] } {
  if (caller.kind === "operator") return { ...asked, guards: [] };
  const { key } = caller;
  const own = scopesOf(key);
  const lacking = asked.scopes.find((scope) => !own.has(scope));
  if (lacking !== undefined) throw denied(`This key has no scope "${lacking}" to give.`);
  if (key.expiresAtMs !== undefined && (asked.expiresAtMs === undefined || asked.expiresAtMs > key.expiresAtMs)) {
    throw denied("A key cannot make one that outlives it.");
  }
  const rules = mergeRules([asked.rules, boundingRules(key)]);
  if (rankOf(key) > 1) return { ...asked, rules, guards: [] };
  if (asked.scopes.includes("inference")) requireNoWayAround(key, place.projectId);
  const administers = asked.scopes.some((scope) => scope === "admin" || scope === "billing");
  const guards = administers ? pathOf(key) : [];
  if (guards.length > MOST_GUARDS) throw denied("Too many keys were made by keys before this one.");
  return { ...asked, rules, guards };
}

/** A key with the scope inference spends: what bounds its maker must bound it, too. */
function requireNoWayAround(key: KeyPolicy, projectId: string): void {
  for (const { place, placeName } of [...key.budgets, ...key.limits]) {
    if (place === "key") {
      throw denied(
        `A key would get around what is set for "${placeName}"; mint a short-lived one, which stays under it.`,
      );
    }
    if (place === "project" && projectId !== key.projectId) {
      throw denied(`A key in another project would get around what is set for project "${placeName}".`);
    }
  }
}

/** A key that something is done to. */
interface ManagedKey extends Scoped {
  readonly id: string;
  readonly projectId: string;
}

/** @throws WeirError permission_denied: a key must not shut out one that stands above it, nor be changed by itself */
export function requireMayManage(caller: Caller, target: ManagedKey, what: "revoke" | "rotate" | "update"): void {
  if (caller.kind === "operator") return;
  if (caller.key.keyId === target.id) {
    if (what === "update") throw denied("A key cannot change itself.");
    return;
  }
  if (rankOf(target) > rankOf(caller.key)) throw denied("Only who stands above this key may do this.");
}

/**
 * Who rotates a key holds its new text, and with it its rights.
 * @param terms of its whole path. @throws WeirError permission_denied
 */
export function requireMayHold(caller: Caller, target: ManagedKey, terms: KeyTerms): void {
  if (caller.kind === "operator" || caller.key.keyId === target.id) return;
  const granted = grantable(caller, terms, target);
  if (!sameRules(granted.rules, mergeRules([terms.rules]))) throw denied("This key may more than yours.");
}

/** Whether one level lets nothing through that another does not. */
export const isWithin = (inner: Rules, outer: Rules): boolean =>
  sameRules(mergeRules([inner, outer]), mergeRules([inner]));

/** Merged rules are equal where they say the same. */
const sameRules = (a: Rules, b: Rules): boolean => JSON.stringify(a) === JSON.stringify(b);

const denied = (message: string): WeirError => new WeirError("permission_denied", message);
