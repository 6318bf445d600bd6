import { WeirError } from "@weir/kernel";

export type Scope = "inference" | "read" | "admin";

/** What one level of a key's path demands. Empty lists allow everything; a name may end in "*". */
export interface Rules {
  readonly allowedModels: readonly string[];
  readonly deniedModels: readonly string[];
  readonly allowedProviders: readonly string[];
  readonly allowedRegions: readonly string[];
  /** 0: no cap. */
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

/** A key as policy pushed it: everything that is needed to let a request in or not, but for what must be counted. */
export interface Key {
  readonly id: string;
  readonly organizationId: string;
  readonly workspaceId: string;
  readonly workspace: string;
  readonly projectId: string;
  readonly name: string;
  /** 0: never. */
  readonly expiresAtMs: number;
  readonly scopes: readonly Scope[];
  /** One per level of its path that has any; all must be satisfied. */
  readonly rules: readonly Rules[];
  readonly hasHardBudget: boolean;
  readonly hasBudget: boolean;
  readonly hasLimit: boolean;
  readonly payloads: "none" | "hashes" | "redacted" | "full";
}

/** How much the pushed keys can be trusted: see `freshness`. */
export type Freshness = "live" | "stale" | "expired" | "never";

/** A beat is due every 250 ms; after this long without one the view is stale. */
const STALE_AFTER_MS = 1_000;

/** What policy last said, on the monotonic clock. */
export interface Heard {
  /** When it last said anything. */
  readonly policyMs: number;
  /** Up to when it knew all that was committed. */
  readonly storeMs: number;
}

/**
 * For so long keys without a hard budget go on: the stated bounds of a revocation. Two, since they are two failures. A policy that says nothing
 * may have been told of a revocation that we do not hear of. A policy that says that its store is away is there, and while the store is down
 * nobody can revoke anything; the longer bound is for the replica that is cut off from a store which others still write to.
 */
export interface Grace {
  readonly policyMs: number;
  readonly storeMs: number;
}

/** @param heard undefined: not all keys were heard of yet */
export function freshness(heard: Heard | undefined, nowMs: number, grace: Grace): Freshness {
  if (heard === undefined) return "never";
  const unknownMs = nowMs - heard.storeMs;
  if (unknownMs <= STALE_AFTER_MS) return "live";
  if (nowMs - heard.policyMs > Math.max(grace.policyMs, STALE_AFTER_MS)) return "expired";
  return unknownMs <= Math.max(grace.storeMs, grace.policyMs) ? "stale" : "expired";
}

const away = (message: string): WeirError => new WeirError("policy_unavailable", message, { retryAfterMs: 1_000 });

/**
 * Whether this key may call at all. Fails closed: what cannot be known is 503, never 401, since a valid key must not be told that
 * it is wrong.
 * @throws WeirError
 */
export function authenticate(key: Key | undefined, known: Freshness, nowMs: number): Key {
  if (known === "never" || known === "expired") throw away("Keys cannot be checked right now.");
  if (key === undefined) {
    if (known === "stale") throw away("This key cannot be checked right now.");
    throw new WeirError("invalid_key", "This key is not known, or it was revoked.");
  }
  if (key.expiresAtMs !== 0 && nowMs >= key.expiresAtMs) throw new WeirError("expired_key", "This key has expired.");
  if (known === "stale" && key.hasHardBudget) throw away("Budgets cannot be checked right now.");
  return key;
}

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;

/** Whether every level's model rules let this name through. */
export function modelAllowed(rules: readonly Rules[], model: string): boolean {
  for (const rule of rules) {
    if (rule.allowedModels.length > 0 && !rule.allowedModels.some((pattern) => matches(pattern, model))) return false;
    if (rule.deniedModels.some((pattern) => matches(pattern, model))) return false;
  }
  return true;
}

/** The intersection of what the levels allow. `undefined`: everything; an empty list: nothing. */
export function intersection(lists: readonly (readonly string[])[]): readonly string[] | undefined {
  let allowed: readonly string[] | undefined;
  for (const list of lists) {
    if (list.length === 0) continue;
    allowed = allowed === undefined ? list : allowed.filter((name) => list.includes(name));
  }
  return allowed;
}

/** The smallest cap that is set; 0 where none is. */
export function strictestCap(caps: readonly number[]): number {
  let strictest = 0;
  for (const cap of caps) if (cap > 0 && (strictest === 0 || cap < strictest)) strictest = cap;
  return strictest;
}

/** Policy writes "nothing in common" as a list of one empty name. */
const isNothing = (list: readonly string[] | undefined): boolean =>
  list !== undefined && list.every((name) => name === "");

/** What a key's rules allow, worked out once when the key is pushed. */
export interface Grant {
  readonly key: Key;
  /** Empty: any. */
  readonly allowedProviders: readonly string[];
  readonly allowedRegions: readonly string[];
  /** Rules of several levels that share no provider (or region): nothing can serve this key. */
  readonly impossible: boolean;
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

export function grantOf(key: Key): Grant {
  const providers = intersection(key.rules.map((rule) => rule.allowedProviders));
  const regions = intersection(key.rules.map((rule) => rule.allowedRegions));
  return {
    key,
    allowedProviders: providers ?? [],
    allowedRegions: regions ?? [],
    impossible: isNothing(providers) || isNothing(regions),
    maxInputTokens: strictestCap(key.rules.map((rule) => rule.maxInputTokens)),
    maxOutputTokens: strictestCap(key.rules.map((rule) => rule.maxOutputTokens)),
  };
}

/**
 * @param choosesModel the request lets the provider choose among models that no rule here has seen
 * @throws WeirError permission_denied, model_not_allowed, or unsupported
 */
export function authorize(grant: Grant, model: string, choosesModel = false): void {
  const { key } = grant;
  if (!key.scopes.includes("inference")) {
    throw new WeirError("permission_denied", "This key may not call models: it lacks the scope `inference`.");
  }
  if (!modelAllowed(key.rules, model)) {
    throw new WeirError("model_not_allowed", `This key may not use the model "${model.slice(0, 256)}".`, {
      param: "model",
    });
  }
  if (choosesModel && key.rules.some((rule) => rule.allowedModels.length > 0 || rule.deniedModels.length > 0)) {
    throw new WeirError("unsupported", "Name one model: this key may use certain models only.", { param: "models" });
  }
  if (grant.impossible) {
    throw new WeirError("permission_denied", "The rules on this key's path leave no provider that may serve it.");
  }
}
