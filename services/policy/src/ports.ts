import type {
  BudgetUnit,
  KeyPolicy,
  LimitSubject,
  LimitUnit,
  PayloadChoice,
  PlaceKind,
  Scope,
} from "./domain/key-policy.ts";
import type { HoldName, HoldRequest, HoldVerdict, Settlement, SettlementResult } from "./domain/ledger.ts";
import type { BucketVerdict, Take } from "./domain/limits.ts";
import type { BudgetPeriod } from "./domain/periods.ts";
import type { BudgetSubject } from "./domain/subjects.ts";
import type { Rules } from "./domain/rules.ts";

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

/** The takes of one request: all of them or none. */
export interface BucketRequest {
  readonly requestId: string;
  readonly takes: readonly Take[];
}

/** What an attempt really used. */
export interface TokensUsed {
  readonly requestId: string;
  readonly attempt: number;
  readonly tokens: number;
}

/**
 * Rate limits by domain/gcra.ts. A request that was taken before is not taken again for as long as it is remembered: until time has
 * repaid what it took, at least ten seconds.
 */
export interface Buckets {
  /** In order; each sees what those before it took. @throws Error when the store is away: within the store's command timeout */
  take(requests: readonly BucketRequest[]): Promise<BucketVerdict[]>;
  /** Undoes takes, as far as time has not repaid them. */
  giveBack(requestIds: readonly string[]): Promise<void>;
  /** Corrects token limits: the first attempt that is settled gives back what the request did not use, further ones take more. */
  settle(used: readonly TokensUsed[]): Promise<void>;
}

/** Which key's view a version of the directory changed. */
export interface Change {
  readonly version: number;
  readonly keyId: string;
}

export interface DirectoryState {
  readonly version: number;
  /** Of keys that may be used; a changed key that is not among them may not be used any more. */
  readonly keys: readonly KeyPolicy[];
  /** Ascending without a gap, the last one `version`; may be empty. */
  readonly changes: readonly Change[];
}

export interface DirectoryStore {
  /** All keys, and the newest changes. */
  load(): Promise<DirectoryState>;
  /** What changed after a version. Undefined: that far back is not known, so load. */
  changesSince(version: number): Promise<DirectoryState | undefined>;
  /** Calls back soon after something changed, or might have. MUST NOT be relied on: changes are polled for, too. */
  onChange(callback: () => void): Promise<AsyncDisposable>;
}

export interface Place {
  readonly kind: PlaceKind;
  readonly id: string;
  readonly name: string;
  /** Undefined for an organization. */
  readonly workspaceId: string | undefined;
}

export interface OrganizationRow {
  readonly id: string;
  readonly name: string;
}

export interface WorkspaceRow {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly payloads: PayloadChoice;
  readonly rules: Rules;
}

export interface ProjectRow {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly rules: Rules;
}

export interface KeyRow {
  readonly id: string;
  readonly workspaceId: string;
  readonly projectId: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  /** Made from the operator's configuration. */
  readonly operator: boolean;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
}

export interface NewKey {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly hash: Uint8Array;
  readonly prefix: string;
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  readonly operator: boolean;
  readonly expiresAtMs: number | undefined;
}

export interface BudgetTerms {
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly limit: bigint;
  readonly hard: boolean;
  /** Default: one for all. */
  readonly per?: BudgetSubject | undefined;
  /** Of a budget per run: how often the same call may come within a run. */
  readonly maxIdenticalCalls?: number | undefined;
}

export interface BudgetRow extends BudgetTerms {
  readonly id: number;
  readonly place: { readonly kind: PlaceKind; readonly id: string };
  readonly per: BudgetSubject;
  /** In the current period; of a budget per run or end user those of all of them. */
  readonly spent: bigint;
  readonly held: bigint;
  /** How many there are of a budget per run or end user. */
  readonly subjects: number;
  readonly timeZone: string;
  readonly periodStartMs: number;
  /** Undefined: never. */
  readonly periodEndMs: number | undefined;
  readonly closed: boolean;
}

export interface LimitTerms {
  readonly per: LimitSubject;
  readonly unit: LimitUnit;
  readonly amount: number;
  readonly windowMs: number;
  readonly burst: number;
  readonly failClosed: boolean;
}

export interface LimitRow extends LimitTerms {
  readonly id: number;
  readonly place: { readonly kind: PlaceKind; readonly id: string };
}

/**
 * The directory as administrators see it. Each method is one transaction, and has told the watchers when it resolves.
 * "Name or id": of an id's form it is an id. A project's name is "workspace/project" where no workspace is given.
 * @throws WeirError not_found, already_exists, policy_unavailable
 */
export interface DirectoryAdmin {
  createOrganization(row: OrganizationRow): Promise<void>;
  organizations(): Promise<OrganizationRow[]>;
  createWorkspace(row: WorkspaceRow, defaultProjectId: string): Promise<void>;
  updateWorkspace(id: string, change: { payloads?: PayloadChoice; rules?: Rules }): Promise<WorkspaceRow>;
  workspaces(organizationId: string | undefined): Promise<WorkspaceRow[]>;
  createProject(row: ProjectRow): Promise<void>;
  projects(workspaceId: string): Promise<ProjectRow[]>;
  createKey(key: NewKey): Promise<KeyRow>;
  /** Of a workspace, or of all. */
  keys(workspaceId: string | undefined, includeRevoked: boolean): Promise<KeyRow[]>;
  keyById(id: string): Promise<KeyRow | undefined>;
  keyByHash(hash: Uint8Array): Promise<KeyRow | undefined>;
  /** Revoking again changes nothing. */
  revokeKey(id: string): Promise<KeyRow>;
  putBudget(place: Place, terms: BudgetTerms): Promise<BudgetRow>;
  putLimit(place: Place, terms: LimitTerms): Promise<LimitRow>;
  /** Of all places of a workspace and its organization; undefined: of all. */
  budgets(workspaceId: string | undefined): Promise<BudgetRow[]>;
  limits(workspaceId: string | undefined): Promise<LimitRow[]>;
  /** @param workspaceId where a project's bare name is looked for */
  find(kind: PlaceKind, nameOrId: string, workspaceId?: string): Promise<Place>;
  /** Makes what a first start needs, all or nothing, alone among all replicas. @returns whether this call made the first key */
  seed(plan: SeedPlan): Promise<boolean>;
}

export interface SeedPlan {
  readonly organization: OrganizationRow;
  /** Those that exist already stay as they are. */
  readonly workspaces: readonly SeedWorkspace[];
  /** In workspace `default`, project `default`; `projectId` is filled in there. Without `always` only if there is no key at all. */
  readonly key: Omit<NewKey, "projectId"> & { readonly always: boolean };
}

export interface SeedWorkspace extends Omit<WorkspaceRow, "organizationId"> {
  readonly projectId: string;
  readonly budgets: readonly BudgetTerms[];
  readonly limits: readonly LimitTerms[];
}

/** Randomness and hashing. */
export interface Keysmith {
  random(bytes: number): Uint8Array;
  /** A new UUIDv7. */
  newId(): string;
  sha256(text: string): Uint8Array;
}
