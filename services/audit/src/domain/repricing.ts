import { costOf, type Price, type TokenUsage } from "@weir/pricing";

/** A call as the log has it, as far as it was paid for. */
export interface RecordedCall {
  readonly index: number;
  /** Of the request: its prices are those of this time. */
  readonly atMs: number;
  readonly workspaceId: string;
  /** As its client calls the model. */
  readonly name: string;
  readonly priceVersion: string;
  /** Those that were charged by what they used. */
  readonly attempts: readonly RecordedAttempt[];
}

export interface RecordedAttempt {
  readonly provider: string;
  readonly model: string;
  readonly usage: TokenUsage;
  readonly costNanos: bigint;
}

/** A price to compare with; "" and 0 as in weir.audit.v1.SheetPrice. */
export interface SheetPrice {
  readonly provider: string;
  readonly model: string;
  readonly name: string;
  readonly workspaceId: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Undefined: unknown. */
  readonly price: Price | undefined;
}

/** Prices by what they are of, in their order. */
export class Sheet {
  readonly #prices = new Map<string, SheetPrice[]>();

  constructor(prices: readonly SheetPrice[]) {
    for (const price of prices) {
      const key = JSON.stringify([price.provider, price.model]);
      const known = this.#prices.get(key);
      if (known === undefined) this.#prices.set(key, [price]);
      else known.push(price);
    }
  }

  /** The first that fits. */
  priceOf(attempt: RecordedAttempt, call: RecordedCall): Price | undefined {
    return this.#prices
      .get(JSON.stringify([attempt.provider, attempt.model]))
      ?.find(
        (one) =>
          (one.name === "" || one.name === call.name) &&
          (one.workspaceId === "" || one.workspaceId === call.workspaceId) &&
          one.fromMs <= call.atMs &&
          (one.toMs === 0 || call.atMs < one.toMs),
      )?.price;
  }
}

/** What its attempts cost by the sheet, together; undefined where one of them has no price there. */
export function repricedCost(call: RecordedCall, sheet: Sheet): bigint | undefined {
  let sum = 0n;
  for (const attempt of call.attempts) {
    const price = sheet.priceOf(attempt, call);
    if (price === undefined) return undefined;
    sum += costOf(attempt.usage, price);
  }
  return sum;
}

export const recordedCost = (call: RecordedCall): bigint =>
  call.attempts.reduce((sum, { costNanos }) => sum + costNanos, 0n);

export interface RepricedGroup {
  readonly workspaceId: string;
  readonly name: string;
  readonly provider: string;
  readonly model: string;
  /** "": days are not parted. */
  readonly day: string;
  calls: bigint;
  unpriced: bigint;
  recordedNanos: bigint;
  repricedNanos: bigint;
  /** As recorded, of all calls. */
  totalNanos: bigint;
  inputTokens: bigint;
  outputTokens: bigint;
  readonly recordedVersions: string[];
}

export interface RepricingTotal {
  readonly records: bigint;
  readonly recordedNanos: bigint;
  readonly repricedNanos: bigint;
  readonly unpriced: bigint;
  /** The dearest first. */
  readonly groups: readonly RepricedGroup[];
}

/** More versions than this in one group say no more than that there were many. */
const MOST_VERSIONS = 20;

/** Sums by workspace, name, provider and model, where wanted by day. A call with several attempts counts for the one that served. */
export class RepricingSums {
  readonly #byDay: boolean;
  readonly #groups = new Map<string, RepricedGroup>();
  #records = 0n;

  constructor(byDay: boolean) {
    this.#byDay = byDay;
  }

  get records(): bigint {
    return this.#records;
  }

  /** @param repriced undefined: it has no price */
  add(call: RecordedCall, repriced: bigint | undefined): void {
    this.#records += 1n;
    const served = call.attempts.at(-1);
    if (served === undefined) return;
    const group = this.#groupOf(call, served);
    group.calls += 1n;
    group.totalNanos += recordedCost(call);
    for (const { usage } of call.attempts) {
      group.inputTokens += BigInt(usage.inputTokens);
      group.outputTokens += BigInt(usage.outputTokens);
    }
    const { recordedVersions: versions } = group;
    if (!versions.includes(call.priceVersion) && versions.length < MOST_VERSIONS) versions.push(call.priceVersion);
    if (repriced === undefined) {
      group.unpriced += 1n;
      return;
    }
    group.recordedNanos += recordedCost(call);
    group.repricedNanos += repriced;
  }

  total(): RepricingTotal {
    const groups = [...this.#groups.values()].sort((one, other) => {
      const dearer = other.repricedNanos - one.repricedNanos || other.calls - one.calls;
      return dearer > 0n ? 1 : dearer < 0n ? -1 : one.day.localeCompare(other.day);
    });
    const sum = (of: (group: RepricedGroup) => bigint): bigint => groups.reduce((all, group) => all + of(group), 0n);
    return {
      records: this.#records,
      recordedNanos: sum((group) => group.recordedNanos),
      repricedNanos: sum((group) => group.repricedNanos),
      unpriced: sum((group) => group.unpriced),
      groups,
    };
  }

  #groupOf({ workspaceId, name, atMs }: RecordedCall, { provider, model }: RecordedAttempt): RepricedGroup {
    const day = this.#byDay ? new Date(atMs).toISOString().slice(0, 10) : "";
    const key = JSON.stringify([workspaceId, name, provider, model, day]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      const tokens = { inputTokens: 0n, outputTokens: 0n };
      const nanos = { recordedNanos: 0n, repricedNanos: 0n, totalNanos: 0n };
      const of = { workspaceId, name, provider, model, day, calls: 0n, unpriced: 0n };
      group = { ...of, ...tokens, ...nanos, recordedVersions: [] };
      this.#groups.set(key, group);
    }
    return group;
  }
}
