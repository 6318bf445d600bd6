import { dollarsOf } from "@weir/kernel";
import type { Attribute, AttributeKind, AttributeTable } from "@weir/rules";
import type { BudgetPeriod } from "./periods.ts";
import type { BudgetSubject } from "./subjects.ts";
import type { Rules } from "./rules.ts";

/** The path of a key: organization > workspace > project > key. */
export type PlaceKind = "organization" | "workspace" | "project" | "key";
export type BudgetUnit = "nano-usd" | "tokens" | "requests";
export type LimitSubject = "key" | "project" | "workspace" | "end-user" | "client-ip" | "model" | "provider";
/** `tokens` are input and output together; `concurrency` is how many requests run at a time. */
export type LimitUnit = "requests" | "tokens" | "input-tokens" | "output-tokens" | "concurrency";
export type Scope = "inference" | "read" | "admin" | "billing" | "organization-admin";
export type PayloadChoice = "none" | "hashes" | "redacted" | "full";

export interface BudgetOnPath {
  readonly id: number;
  readonly place: PlaceKind | AttributeKind;
  /** The place's name, for messages. */
  readonly placeName: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly hard: boolean;
  /** Default: one for all. */
  readonly per?: BudgetSubject | undefined;
  /** Of a budget per run: how often the same call may come within a run. */
  readonly maxIdenticalCalls?: number | undefined;
}

export interface LimitOnPath {
  readonly id: number;
  readonly place: PlaceKind | AttributeKind;
  readonly placeName: string;
  readonly per: LimitSubject;
  readonly unit: LimitUnit;
  readonly amount: number;
  /** 0 for concurrency. */
  readonly windowMs: number;
  readonly burst: number;
  readonly failClosed: boolean;
  /** Of a limit per model or provider: the one that it is for; "" or undefined: each by itself. */
  readonly only?: string | undefined;
  /** What does not fit waits, instead of being refused. */
  readonly queue?: QueueOnPath | undefined;
}

export interface QueueOnPath {
  readonly maxWaitMs: number;
  readonly maxLength: number;
  /** Of the path's workspace. */
  readonly weight: number;
}

/** An end user or a tag of a workspace that somebody set bounds for: they bound its requests, by whichever key they come. */
export interface AttributePolicy extends Attribute {
  readonly id: string;
  readonly rules: Rules;
  readonly budgets: readonly BudgetOnPath[];
  readonly limits: readonly LimitOnPath[];
  /** A budget of it was taken away: what was held there before still settles there. */
  readonly hadBudget: boolean;
}

/** The rules of one place. */
export interface RuleLevel {
  readonly place: PlaceKind | AttributeKind;
  readonly placeName: string;
  readonly rules: Rules;
}

/** A text that a key had before, for as long as it goes on working. */
export interface RetiredSecret {
  readonly hash: Uint8Array;
  readonly expiresAtMs: number;
}

/** All that policy knows of a key when it decides: nothing is looked up per request. */
export interface KeyPolicy {
  readonly keyId: string;
  /** SHA-256 of the key. */
  readonly hash: Uint8Array;
  readonly retired: readonly RetiredSecret[];
  /** The keys it was minted from, the first one first; their budgets and limits are on its path. */
  readonly ancestors: readonly string[];
  /** Places whose bounds it may not change, beside those on its path. */
  readonly guards: readonly string[];
  readonly organizationId: string;
  readonly workspaceId: string;
  readonly workspace: string;
  readonly projectId: string;
  readonly name: string;
  /** These as `termsOfChain` says: with those of its ancestors. */
  readonly expiresAtMs: number | undefined;
  readonly scopes: readonly Scope[];
  readonly endUser: string;
  readonly keyRules: Rules;
  /** Made from the operator's configuration: full rights in its workspace. */
  readonly operator: boolean;
  readonly payloads: PayloadChoice;
  /** Of the whole path. */
  readonly rules: Rules;
  /** Of the whole path, from the organization down. */
  readonly budgets: readonly BudgetOnPath[];
  readonly limits: readonly LimitOnPath[];
  /** A budget on its path was taken away: what was held there before still settles there. */
  readonly hadBudget: boolean;
  /** What each level of its path says by itself, from the organization down; for whoever asks why. */
  readonly levels: readonly RuleLevel[];
  /** Of its workspace, one object for all its keys; undefined: none. What a request takes from is in `pathOf`. */
  readonly attributes?: AttributeTable<AttributePolicy> | undefined;
}

const UNIT_WORD: Record<BudgetUnit, string> = { "nano-usd": "usd", tokens: "tokens", requests: "requests" };

/** "budget workspace/default month usd" */
export const budgetRule = ({ place, placeName, period, unit, per = "none" }: BudgetOnPath): string =>
  `budget ${place}/${placeName} ${period} ${UNIT_WORD[unit]}${per === "none" ? "" : ` per ${per}`}`;

/** "limit workspace/default 600 requests per key in 60 s", "limit key/ci 4 requests per key at a time" */
export function limitRule({ place, placeName, amount, unit, per, only, windowMs }: LimitOnPath): string {
  const subject = only === undefined || only === "" ? per : `${per} ${only}`;
  return unit === "concurrency"
    ? `limit ${place}/${placeName} ${amount} requests per ${subject} at a time`
    : `limit ${place}/${placeName} ${amount} ${unit.replace("-", " ")} per ${subject} in ${windowMs / 1000} s`;
}

/** An amount as people write it: "0.25 USD", "1200 tokens". */
export const amountText = (unit: BudgetUnit, amount: bigint): string =>
  unit === "nano-usd" ? `${dollarsOf(amount)} USD` : `${amount} ${unit}`;
