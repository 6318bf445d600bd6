import { incrementUs, neverFits, type Rate, rateOf, remaining, waitUs } from "./gcra.ts";
import type { KeyPolicy, LimitOnPath } from "./key-policy.ts";
import { pathOf } from "./path.ts";

/** What of a request the limits look at. */
export interface LimitedRequest {
  readonly requestId: string;
  readonly model: string;
  readonly endUser: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly clientIp: string;
  /** The most tokens it can have, in and out; corrected when it is settled. */
  readonly tokens: number;
}

/** One take from one bucket. */
export interface Take {
  readonly limit: LimitOnPath;
  readonly rate: Rate;
  /** The limit and whom it counts: "12:0190…". */
  readonly bucket: string;
  readonly cost: number;
  readonly incUs: number;
}

export interface BucketVerdict {
  /** The index of the first take that does not fit; undefined: all were taken. */
  readonly refused: number | undefined;
  /** The state of each bucket after this request, in microseconds of `nowUs`'s clock. */
  readonly tatsUs: readonly number[];
  readonly nowUs: number;
}

/** The state of a limit after a look at it, for x-ratelimit headers. */
export interface LimitState {
  readonly unit: "requests" | "tokens";
  readonly limit: number;
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly resetMs: number;
}

const rates = new WeakMap<LimitOnPath, Rate>();

function rateOfLimit(limit: LimitOnPath): Rate {
  let rate = rates.get(limit);
  if (rate === undefined) {
    rate = rateOf(limit.amount, limit.windowMs, limit.burst);
    rates.set(limit, rate);
  }
  return rate;
}

/**
 * What a request takes from the buckets of its path.
 * @param digest shortens what a client may choose freely, so that no bucket's name is long or says who somebody is
 */
export function takesOf(key: KeyPolicy, request: LimitedRequest, digest: (text: string) => string): Take[] {
  return pathOf(key, request).limits.map((limit) => {
    const rate = rateOfLimit(limit);
    const cost = limit.unit === "requests" ? 1 : request.tokens;
    return {
      limit,
      rate,
      bucket: `${limit.id}:${subjectOf(limit, key, request, digest)}`,
      cost,
      incUs: incrementUs(rate, cost),
    };
  });
}

/** A request without an end user or an address counts as that of nobody, whom all such requests share: leaving it out is no way around. */
function subjectOf(
  limit: LimitOnPath,
  key: KeyPolicy,
  request: LimitedRequest,
  digest: (text: string) => string,
): string {
  switch (limit.per) {
    case "key":
      return key.keyId;
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
  }
}

export const impossibleTake = (takes: readonly Take[]): Take | undefined =>
  takes.find((take) => neverFits(take.rate, take.cost));

export function stateOf(take: Take, tatUs: number, nowUs: number): LimitState {
  return {
    unit: take.limit.unit,
    limit: take.limit.amount,
    remaining: remaining(take.rate, tatUs, nowUs),
    resetMs: Math.max(0, Math.ceil((tatUs - nowUs) / 1000)),
  };
}

/** The tightest first: the smallest share left. */
export const tightestFirst = (states: LimitState[]): LimitState[] =>
  states.sort((a, b) => a.remaining / a.limit - b.remaining / b.limit || b.resetMs - a.resetMs);

/** When the refused take would fit, for retry-after. */
export const retryAfterMs = (take: Take, tatUs: number, nowUs: number): number =>
  Math.max(1, Math.ceil(waitUs(tatUs, nowUs, take.incUs, take.rate.toleranceUs) / 1000));
