/** What stores keep and administrators see, as plain values. */
import type { Attribute, AttributeKind } from "@weir/rules";
import type { IssuerTerms } from "./issuer.ts";
import type { BudgetUnit, PayloadChoice, PlaceKind, Scope } from "./key-policy.ts";
import type { LimitTerms } from "./limit-terms.ts";
import type { BudgetPeriod } from "./periods.ts";
import type { Rules } from "./rules.ts";
import type { BudgetSubject } from "./subjects.ts";

export interface Place {
  readonly kind: PlaceKind | AttributeKind;
  readonly id: string;
  readonly name: string;
  /** Undefined for an organization. */
  readonly workspaceId: string | undefined;
  readonly organizationId: string;
}

export interface OrganizationRow {
  readonly id: string;
  readonly name: string;
  readonly rules: Rules;
}

/** An end user or a tag of a workspace. */
export interface AttributeRow extends Attribute {
  readonly id: string;
  readonly workspaceId: string;
  readonly rules: Rules;
}

/** Where a budget or a limit stands. */
export interface PlaceOfRow {
  readonly kind: PlaceKind | AttributeKind;
  readonly id: string;
  /** Of an end user or a tag. */
  readonly attribute?: Omit<Attribute, "kind"> & { readonly workspaceId: string };
}

export interface WorkspaceRow {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly payloads: PayloadChoice;
  readonly rules: Rules;
  /** Of IANA; default: UTC. */
  readonly timeZone?: string | undefined;
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
  /** The keys it was minted from, the first one first. */
  readonly ancestors: readonly string[];
  readonly guards: readonly string[];
  /** Whom all its requests are for; "": each says so itself. */
  readonly endUser: string;
  /** To some ten seconds. */
  readonly lastUsedAtMs: number | undefined;
  /** Texts it had before that still work. */
  readonly retired: readonly { readonly prefix: string; readonly expiresAtMs: number }[];
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
  readonly ancestors: readonly string[];
  readonly guards: readonly string[];
  readonly endUser: string;
}

/** What is undefined stays as it is. */
export interface KeyChange {
  readonly name?: string | undefined;
  readonly expiresAtMs?: number | "never" | undefined;
  readonly scopes?: readonly Scope[] | undefined;
  readonly rules?: Rules | undefined;
  readonly guards?: readonly string[] | undefined;
}

export interface KeyUse {
  readonly keyId: string;
  readonly atMs: number;
}

export interface IssuerRow extends IssuerTerms {
  readonly id: string;
  readonly workspaceId: string;
  readonly projectId: string;
  readonly name: string;
  /** The parent of its keys. */
  readonly keyId: string;
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  readonly createdAtMs: number;
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
  readonly place: PlaceOfRow;
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

export interface LimitRow extends LimitTerms {
  readonly id: number;
  readonly place: PlaceOfRow;
}

export interface SeedPlan {
  readonly organization: Pick<OrganizationRow, "id" | "name">;
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
