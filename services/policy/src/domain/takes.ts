import { incrementUs, neverFits, type Rate, rateOf, shareOf } from "./gcra.ts";
import type { KeyPolicy, LimitOnPath, LimitUnit } from "./key-policy.ts";
import { pathOf, type RequestPath } from "./path.ts";

/** What of a request the limits look at. */
export interface LimitedRequest {
  readonly requestId: string;
  readonly model: string;
  readonly endUser: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly clientIp: string;
  /** The most that it can have; corrected when it is settled. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One attempt of it, at a provider. */
export type LimitedAttempt = Pick<LimitedRequest, "inputTokens" | "outputTokens"> & { readonly provider: string };

interface Common {
  readonly limit: LimitOnPath;
  /** The limit and whom it counts: "12:0190…". */
  readonly bucket: string;
}

/** So much of a rate. */
export interface RateTake extends Common {
  readonly kind: "rate";
  readonly rate: Rate;
  readonly cost: number;
  readonly incUs: number;
}

/** One place among those that run at the same time, for as long as the request runs and says so. */
export interface SlotTake extends Common {
  readonly kind: "slot";
  readonly capacity: number;
}

/** What a request takes of one limit. */
export type Take = RateTake | SlotTake;

/** A path's limits, by when they are taken. */
interface Prepared {
  readonly atAdmission: readonly PreparedLimit[];
  readonly perProvider: readonly PreparedLimit[];
}

type PreparedLimit =
  | { readonly kind: "rate"; readonly limit: LimitOnPath; readonly rate: Rate }
  | { readonly kind: "slot"; readonly limit: LimitOnPath };

/** By identity of the list: a path is the same object for as long as its key does not change (see path.ts). */
const prepared = new WeakMap<readonly LimitOnPath[], Prepared>();

function preparedOf(limits: readonly LimitOnPath[]): Prepared {
  let known = prepared.get(limits);
  if (known === undefined) {
    const of = (perProvider: boolean): PreparedLimit[] =>
      limits.filter(({ per }) => (per === "provider") === perProvider).map(prepare);
    known = { atAdmission: of(false), perProvider: of(true) };
    prepared.set(limits, known);
  }
  return known;
}

const prepare = (limit: LimitOnPath): PreparedLimit =>
  limit.unit === "concurrency"
    ? { kind: "slot", limit }
    : { kind: "rate", limit, rate: rateOf(limit.amount, limit.windowMs, limit.burst) };

/**
 * What a request takes before it is known who serves it.
 * @param digest shortens what a client may choose freely, so that no bucket's name is long or says who somebody is
 */
export function takesOf(key: KeyPolicy, request: LimitedRequest, digest: (text: string) => string): Take[] {
  const takes: Take[] = [];
  for (const one of preparedOf(pathOf(key, request).limits).atAdmission) {
    const { only = "", per } = one.limit;
    if (only !== "" && per === "model" && only !== request.model) continue;
    takes.push(takeOf(one, subjectOf(one.limit, key, request, digest), request));
  }
  return takes;
}

/** What an attempt takes in addition, of limits per provider. Those stand on a key's own path, never on that of an attribute. */
export function providerTakesOf({ limits }: RequestPath, attempt: LimitedAttempt): Take[] {
  const takes: Take[] = [];
  for (const one of preparedOf(limits).perProvider) {
    const { only = "" } = one.limit;
    // An operator's own name: it is short.
    if (only === "" || only === attempt.provider) takes.push(takeOf(one, attempt.provider, attempt));
  }
  return takes;
}

function takeOf(one: PreparedLimit, subject: string, tokens: TokenBounds): Take {
  const { limit } = one;
  const bucket = `${limit.id}:${subject}`;
  if (one.kind === "slot") return { kind: "slot", limit, bucket, capacity: limit.amount };
  const { rate } = one;
  const cost = costOf(limit.unit, tokens);
  return { kind: "rate", limit, bucket, rate, cost, incUs: incrementUs(rate, cost) };
}

type TokenBounds = Pick<LimitedRequest, "inputTokens" | "outputTokens">;

function costOf(unit: LimitUnit, { inputTokens, outputTokens }: TokenBounds): number {
  switch (unit) {
    case "requests":
    case "concurrency":
      return 1;
    case "tokens":
      return inputTokens + outputTokens;
    case "input-tokens":
      return inputTokens;
    case "output-tokens":
      return outputTokens;
  }
}

/** A request without an end user or an address counts as that of nobody, whom all such requests share: leaving it out is no way around. */
function subjectOf(
  { per }: LimitOnPath,
  key: KeyPolicy,
  request: LimitedRequest,
  digest: (text: string) => string,
): string {
  switch (per) {
    case "key":
      // Keys that were minted from one count with it: making more of them is no way to more.
      return key.ancestors[0] ?? key.keyId;
    case "project":
      return key.projectId;
    case "workspace":
      return key.workspaceId;
    case "end-user":
      // The same name in two workspaces is two people.
      return `${key.workspaceId}:${digest(request.endUser)}`;
    case "client-ip":
      return digest(request.clientIp);
    case "model":
      return digest(request.model);
    case "provider":
      throw new TypeError("limits per provider are taken per attempt");
  }
}

/** A take that no waiting makes admissible. */
export const impossibleTake = (takes: readonly Take[]): Take | undefined =>
  takes.find((take) => take.kind === "rate" && neverFits(take.rate, take.cost));

const shares = new WeakMap<Rate, { readonly replicas: number; readonly share: Rate }>();

/** The same take of what one of several replicas may give by itself. A slot is shared out whole, at least one to each. */
export function shareOfTake(take: Take, replicas: number): Take {
  if (replicas === 1) return take;
  if (take.kind === "slot") return { ...take, capacity: Math.max(1, Math.floor(take.capacity / replicas)) };
  let known = shares.get(take.rate);
  if (known?.replicas !== replicas) {
    known = { replicas, share: shareOf(take.rate, replicas) };
    shares.set(take.rate, known);
  }
  return { ...take, rate: known.share, incUs: incrementUs(known.share, take.cost) };
}
