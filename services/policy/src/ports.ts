import type { Attribute } from "@weir/rules";
import type { PayloadChoice, PlaceKind } from "./domain/key-policy.ts";
import type {
  ChargePage,
  ChargeRow,
  Delivery,
  DeliveryOutcome,
  OwnerRow,
  Resolution,
  Verification,
  WarningRow,
  WebhookRow,
} from "./domain/books.ts";
import type { Begun, IdempotencyClaim } from "./domain/idempotent.ts";
import type { HoldName, HoldPlace, HoldRequest, HoldVerdict, Settlement, SettlementResult } from "./domain/ledger.ts";
import type { LimitTerms } from "./domain/limit-terms.ts";
import type { BucketVerdict } from "./domain/limits.ts";
import type { Claims, IssuerTerms } from "./domain/issuer.ts";
import type { Rules } from "./domain/rules.ts";
import type {
  AttributeRow,
  BudgetRow,
  BudgetTerms,
  IssuerRow,
  KeyChange,
  KeyRow,
  KeyUse,
  LimitRow,
  NewKey,
  OrganizationRow,
  Place,
  ProjectRow,
  SeedPlan,
  WorkspaceRow,
} from "./domain/rows.ts";
import type { DirectoryState } from "./domain/directory-state.ts";
import type { RehearsedBudget } from "./domain/explain.ts";
import type { Take } from "./domain/takes.ts";

export type { LimitTerms } from "./domain/limit-terms.ts";
export type * from "./domain/directory-state.ts";
export type * from "./domain/rows.ts";

/** What every ledger MUST do: exact over any number of replicas, safe to repeat, durable before it resolves. */
export interface Ledger {
  /**
   * In the order in which they came, each wholly or not at all, on top of all settlements that came before.
   * @throws WeirError policy_unavailable, at once while the store is known to be away; what may have been held nevertheless is given
   * back by the ledger itself once the store is there again
   */
  hold(holds: readonly HoldRequest[]): Promise<HoldVerdict[]>;
  /** @throws WeirError policy_unavailable: settle again, it is safe */
  settle(settlements: readonly Settlement[]): Promise<SettlementResult[]>;
  /** From here on nothing can be held for this owner, not even what was on its way. */
  fence(owner: string): Promise<void>;
  /** All holds of an owner that nobody settled. */
  openHolds(owner: string): Promise<HoldName[]>;
}

/** The ledger's own decision, of which nothing stays. */
export interface Rehearsal {
  /** @returns the budgets in the order of the place's. @throws WeirError policy_unavailable */
  hold(
    hold: Omit<HoldRequest, "owner" | "place"> & { readonly place: HoldPlace },
  ): Promise<{ readonly verdict: HoldVerdict; readonly states: readonly RehearsedBudget[] }>;
}

/** The takes of one request, or of one attempt of it: all of them or none. */
export interface BucketRequest {
  /** Under which it is remembered: the request's id, for an attempt's own takes "id:attempt". */
  readonly id: string;
  /** At least one. */
  readonly takes: readonly Take[];
}

/** What an attempt took by itself, of limits per provider, is remembered apart from what its request took. */
export const recordOfAttempt = (requestId: string, attempt: number): string => `${requestId}:${attempt}`;

/** What an attempt came to. */
export interface Use {
  /** As in BucketRequest. */
  readonly id: string;
  readonly attempt: number;
  /** Undefined: nobody knows, so what was taken stays taken. */
  readonly tokens: TokensUsed | undefined;
  /** Whether what was remembered under the id is over with it: then its slots are free. */
  readonly over: boolean;
}

export interface TokensUsed {
  readonly total: number;
  /** Undefined: only their sum is known. */
  readonly parts: { readonly input: number; readonly output: number } | undefined;
}

/**
 * Rate limits by domain/gcra.ts, and slots: of those that run at the same time. A request that was taken before is not taken again for as
 * long as it is remembered: until time has repaid what it took, ten seconds at least and an hour at most; with slots for as long as
 * those are renewed. A slot whose lease is over is free.
 */
export interface Buckets {
  /** In order; each sees what those before it took. @throws Error when the store is away: within the store's command timeout; ScriptsRefusedError */
  take(requests: readonly BucketRequest[]): Promise<BucketVerdict[]>;
  /** What the buckets are like, without taking. @returns one verdict for all of them: nothing is refused */
  peek(takes: readonly Take[]): Promise<BucketVerdict>;
  /** Undoes takes, as far as time has not repaid them. */
  giveBack(ids: readonly string[]): Promise<void>;
  /** Corrects token limits: the first attempt that is settled gives back what the request did not use, further ones take more. */
  settle(uses: readonly Use[]): Promise<void>;
  /** What these hold of slots is theirs for another lease, also where it had lapsed. */
  renew(ids: readonly string[]): Promise<void>;
}

/** How long a slot is held without being renewed: a request whose ingress died frees it by then. */
export const SLOT_LEASE_MS = 30_000;

/** The store is there and does not do what limits need. No outage, which would pass: somebody must set it right. */
export class ScriptsRefusedError extends Error {
  override readonly name = "ScriptsRefusedError";
}

/** How many replicas of this service share a store; each says that it is there. */
export interface Replicas {
  /** @returns how many there are, this one included. @throws as Buckets.take */
  beat(): Promise<number>;
  /** This one is none of them any more. Never rejects. */
  leave(): Promise<void>;
}

export interface DirectoryStore {
  /** All keys, and the newest changes. */
  load(): Promise<DirectoryState>;
  /** What changed after a version. Undefined: that far back is not known, so load. */
  changesSince(version: number): Promise<DirectoryState | undefined>;
  /** Calls back soon after something changed, or might have. MUST NOT be relied on: changes are polled for, too. */
  onChange(callback: () => void): Promise<AsyncDisposable>;
}

/**
 * Keys as administrators and those who mint see them. Each method is one transaction, and has told the watchers when it resolves.
 * @throws WeirError not_found, already_exists, policy_unavailable
 */
export interface KeyStore {
  create(key: NewKey): Promise<KeyRow>;
  /**
   * Makes a key below others, if none of them is revoked.
   * @param most so many may live at a time below the first of them
   * @throws WeirError invalid_key, rate_limited
   */
  mint(key: NewKey, budgets: readonly BudgetTerms[], most: number): Promise<KeyRow>;
  /** @param filter workspaceId undefined: of all */
  list(filter: {
    readonly workspaceId: string | undefined;
    readonly includeRevoked: boolean;
    readonly includeShortLived: boolean;
  }): Promise<KeyRow[]>;
  byId(id: string): Promise<KeyRow | undefined>;
  /** By its present text, or one it had before: then with that one's expiry, where it is the earlier one. */
  byHash(hash: Uint8Array): Promise<KeyRow | undefined>;
  update(id: string, change: KeyChange): Promise<KeyRow>;
  /** @param untilMs so long the texts it had before go on working; one that would end earlier still does */
  rotate(id: string, text: { readonly hash: Uint8Array; readonly prefix: string }, untilMs: number): Promise<KeyRow>;
  /** With all keys that were minted from it. Revoking again changes nothing, but for ending the requests that were left running. */
  revoke(id: string, endRequests: boolean): Promise<KeyRow>;
  /** A later time stays. */
  recordUses(uses: readonly KeyUse[]): Promise<void>;
  /** Lets replicas drop short-lived keys that expired a while ago. @returns how many; fewer than `most`: no more are left */
  forgetExpired(most: number): Promise<number>;
  /** Deletes those that were forgotten long ago. @returns as forgetExpired */
  deleteForgotten(most: number): Promise<number>;
}

/** Trusted issuers. @throws WeirError not_found, policy_unavailable */
export interface IssuerStore {
  /** The one of that name in that project gets these terms, and its key those of `key`; else both are made. */
  put(
    issuer: { readonly id: string; readonly projectId: string; readonly name: string; readonly terms: IssuerTerms },
    key: NewKey,
  ): Promise<IssuerRow>;
  /** Of a workspace, or of all. */
  list(workspaceId: string | undefined): Promise<IssuerRow[]>;
  byUrl(url: string): Promise<IssuerRow[]>;
  byId(id: string): Promise<IssuerRow | undefined>;
  /** Revokes its key, too, and with it all keys below. */
  remove(id: string, endRequests: boolean): Promise<void>;
}

export interface TokenVerifier {
  /**
   * Signature, time, issuer and audience; the required claims are not its business.
   * @throws WeirError invalid_key, expired_key; policy_unavailable where the issuer's keys cannot be had
   */
  verify(token: string, issuer: IssuerTerms): Promise<Claims>;
}

/**
 * The directory as administrators see it. Each method is one transaction, and has told the watchers when it resolves.
 * "Name or id": of an id's form it is an id. A project's name is "workspace/project" where no workspace is given.
 * @throws WeirError not_found, already_exists, policy_unavailable
 */
export interface DirectoryAdmin {
  createOrganization(row: Pick<OrganizationRow, "id" | "name">): Promise<void>;
  organizations(): Promise<OrganizationRow[]>;
  createWorkspace(row: WorkspaceRow, defaultProjectId: string): Promise<void>;
  updateWorkspace(
    id: string,
    change: { payloads?: PayloadChoice; rules?: Rules; timeZone?: string },
  ): Promise<WorkspaceRow>;
  workspaces(organizationId: string | undefined): Promise<WorkspaceRow[]>;
  createProject(row: ProjectRow): Promise<void>;
  projects(workspaceId: string): Promise<ProjectRow[]>;
  putBudget(place: Place, terms: BudgetTerms): Promise<BudgetRow>;
  putLimit(place: Place, terms: LimitTerms): Promise<LimitRow>;
  /** Takes a budget away: it bounds no new request, and what is held in it still settles there. */
  retireBudget(budget: BudgetRow): Promise<void>;
  deleteLimit(limit: LimitRow): Promise<void>;
  budget(id: number): Promise<BudgetRow | undefined>;
  limit(id: number): Promise<LimitRow | undefined>;
  /** Replaces what was set there. */
  putRules(place: Place, rules: Rules): Promise<void>;
  /** Those with rules of their own; of a workspace, or of all. */
  attributes(workspaceId: string | undefined): Promise<AttributeRow[]>;
  /** Found, or made. @param newId of one that is made @throws WeirError where the workspace has too many */
  attribute(workspace: Place, attribute: Attribute, newId: string): Promise<Place>;
  /** Of all places of a workspace and its organization; undefined: of all. */
  budgets(workspaceId: string | undefined): Promise<BudgetRow[]>;
  limits(workspaceId: string | undefined): Promise<LimitRow[]>;
  /** @param workspaceId where a project's bare name is looked for */
  find(kind: PlaceKind, nameOrId: string, workspaceId?: string): Promise<Place>;
  /** Makes what a first start needs, all or nothing, alone among all replicas. @returns whether this call made the first key */
  seed(plan: SeedPlan): Promise<boolean>;
}

/** The books of the ledger, for who checks and resolves them. @throws WeirError policy_unavailable */
export interface Books {
  /** Adds up everything anew: takes long where there is much. */
  verify(): Promise<Verification>;
  /** By request id, after one of them. */
  charges(asked: ChargePage & { readonly fromMs: number; readonly toMs: number }): Promise<ChargeRow[]>;
  unresolved(asked: ChargePage): Promise<ChargeRow[]>;
  /** Those that hold something, the oldest hold first. */
  owners(): Promise<OwnerRow[]>;
  /** Writes down what somebody asked for. MUST come before it is done. */
  note(resolution: Resolution): Promise<void>;
  /** Forgets what was settled before, once its sums are kept. @returns how many; fewer than `most`: no more are left */
  forget(beforeMs: number, most: number): Promise<number>;
}

/** Warnings that a budget runs out, and who is told. @throws WeirError policy_unavailable */
export interface Warnings {
  /** The newest first; undefined: of all workspaces. */
  list(workspaceId: string | undefined, most: number): Promise<WarningRow[]>;
  putWebhook(workspaceId: string, url: string, secret: string): Promise<WebhookRow>;
  webhooks(workspaceId: string | undefined): Promise<WebhookRow[]>;
  /** @returns whether there was one; what waited for it is not sent any more */
  deleteWebhook(workspaceId: string): Promise<boolean>;
  /** Those that are due, for the caller alone until the lease is over. */
  claim(most: number, leaseMs: number): Promise<Delivery[]>;
  end(warningId: string, outcome: DeliveryOutcome): Promise<void>;
  /** Not on the event stream yet and no more than a day old, the oldest first. */
  unannounced(most: number): Promise<WarningRow[]>;
  announced(warningId: string): Promise<void>;
  /** Calls back soon after a warning was written, or might have been. MUST NOT be relied on. */
  onWarning(callback: () => void): Promise<AsyncDisposable>;
}

/** Tells whoever listens. @param id the same for the same event @throws Error: it may not be there */
export type PublishEvent = (name: string, id: string, body: string) => Promise<void>;

/** Takes a delivery to its address. @throws Error: it was not taken there; what the message says may be shown */
export type SendWebhook = (url: string, headers: Readonly<Record<string, string>>, body: string) => Promise<void>;

/**
 * Requests that carry an Idempotency-Key. A claim is its holder's until it finished or released it, as long as it renews it.
 * @throws WeirError policy_unavailable
 */
export interface IdempotencyStore {
  /** MUST give a name to one caller only. @param fingerprint SHA-256 of what is asked */
  begin(claim: IdempotencyClaim, fingerprint: Uint8Array): Promise<Begun>;
  renew(claims: readonly IdempotencyClaim[]): Promise<void>;
  /** @param answer ciphertext; undefined: too large. @returns whether it is kept; false, too, where the claim was lost */
  finish(claim: IdempotencyClaim, answer: Uint8Array | undefined): Promise<boolean>;
  release(claim: IdempotencyClaim): Promise<void>;
  /** @returns how many; fewer than `most`: no more are left */
  deleteExpired(most: number): Promise<number>;
}

/** Randomness and hashing. */
export interface Keysmith {
  random(bytes: number): Uint8Array;
  /** A new UUIDv7. */
  newId(): string;
  sha256(text: string): Uint8Array;
}
