/** Which price counts for whom and when. Prepared once per model and configuration; asked for with every request. */
import type { PriceFrom } from "./book.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Price, PriceTier, Rates } from "./price.ts";

/** What was negotiated with a provider. Where several fit, a workspace's own come first, and else the first one named. */
export interface Contract {
  readonly id: string;
  /** Whose; empty: everybody's. */
  readonly workspaces: readonly string[];
  /** The provider's name in the configuration. */
  readonly provider: string;
  /** Empty: all; a name may end in "*". */
  readonly models: readonly string[];
  readonly fromMs: number;
  /** Exclusive; 0: it has no end. */
  readonly toMs: number;
  readonly terms:
    | { readonly kind: "price"; readonly price: Price }
    /** Off the price of tokens, in hundredths of a percent; what tools and requests cost stays as it is. */
    | { readonly kind: "discount"; readonly basisPoints: number };
}

export interface DatedPrice {
  /** "": everybody's. */
  readonly workspace: string;
  readonly fromMs: number;
  /** Exclusive; 0: it has no end. */
  readonly toMs: number;
  /** Undefined: unknown. */
  readonly price: Price | undefined;
}

export interface PricePlan {
  /** For everybody at any time; counts where nothing is dated. */
  readonly always: Price | undefined;
  /** The first that fits counts; none where none does. */
  readonly dated: readonly DatedPrice[];
}

export const samePrice = (price: Price | undefined): PricePlan => ({ always: price, dated: [] });

/** @param atMs the time of the request */
export function priceAt({ always, dated }: PricePlan, workspace: string, atMs: number): Price | undefined {
  if (dated.length === 0) return always;
  for (const one of dated) {
    if (one.workspace !== "" && one.workspace !== workspace) continue;
    if (one.fromMs <= atMs && (one.toMs === 0 || atMs < one.toMs)) return one.price;
  }
  return undefined;
}

/** @param schedule what it costs without any contract, the oldest first; empty: unknown */
export function planOf(
  provider: string,
  model: string,
  schedule: readonly PriceFrom[],
  contracts: readonly Contract[],
): PricePlan {
  const periods = schedule.map(
    ({ fromMs, price }, index): DatedPrice => ({
      workspace: "",
      fromMs,
      toMs: schedule[index + 1]?.fromMs ?? 0,
      price,
    }),
  );
  const fitting = contracts.filter((contract) => contract.provider === provider && namesModel(contract.models, model));
  const [only] = periods;
  if (fitting.length === 0 && periods.length <= 1 && (only === undefined || only.fromMs === 0))
    return samePrice(only?.price);
  const negotiated = fitting.flatMap((contract) => datedOf(contract, periods));
  const own = negotiated.filter(({ workspace }) => workspace !== "");
  const general = negotiated.filter(({ workspace }) => workspace === "");
  return { always: undefined, dated: [...own, ...general, ...periods] };
}

const namesModel = (patterns: readonly string[], model: string): boolean =>
  patterns.length === 0 ||
  patterns.some((pattern) => (pattern.endsWith("*") ? model.startsWith(pattern.slice(0, -1)) : pattern === model));

function datedOf(contract: Contract, periods: readonly DatedPrice[]): DatedPrice[] {
  const { terms, fromMs, toMs, workspaces } = contract;
  let prices: Omit<DatedPrice, "workspace">[];
  if (terms.kind === "price") {
    const version = `contract:${contract.id}#${fingerprint(terms.price)}`;
    prices = [{ fromMs, toMs, price: { ...terms.price, version } }];
  } else
    prices = periods.flatMap((period) => {
      const overlap = { fromMs: Math.max(fromMs, period.fromMs), toMs: earlier(toMs, period.toMs) };
      if (period.price === undefined || (overlap.toMs !== 0 && overlap.fromMs >= overlap.toMs)) return [];
      return [{ ...overlap, price: discounted(period.price, terms.basisPoints, contract.id) }];
    });
  const named = workspaces.length === 0 ? [""] : workspaces;
  return named.flatMap((workspace) => prices.map((price) => ({ ...price, workspace })));
}

const earlier = (one: number, other: number): number => (one === 0 || other === 0 ? one + other : Math.min(one, other));

function discounted(price: Price, basisPoints: number, id: string): Price {
  const cheaper: Price = {
    ...price,
    ...lessened(price, basisPoints),
    tiers: price.tiers.map(
      (tier): PriceTier => ({
        aboveInputTokens: tier.aboveInputTokens,
        ...lessened(tier, basisPoints),
      }),
    ),
  };
  return { ...cheaper, version: `${price.version}+contract:${id}#${fingerprint(cheaper)}` };
}

const ALL = 10_000n;

/** Rounded up: a discount never makes more of itself. */
function lessened(rates: Rates, basisPoints: number): Rates {
  const left = ALL - BigInt(basisPoints);
  const less = (rate: bigint): bigint => (rate * left + ALL - 1n) / ALL;
  return {
    inputNanosPerMtok: less(rates.inputNanosPerMtok),
    outputNanosPerMtok: less(rates.outputNanosPerMtok),
    cachedInputNanosPerMtok: less(rates.cachedInputNanosPerMtok),
    cacheWriteNanosPerMtok: less(rates.cacheWriteNanosPerMtok),
    cacheWriteLongNanosPerMtok: less(rates.cacheWriteLongNanosPerMtok),
    audioInputNanosPerMtok: less(rates.audioInputNanosPerMtok),
    audioOutputNanosPerMtok: less(rates.audioOutputNanosPerMtok),
    imageInputNanosPerMtok: less(rates.imageInputNanosPerMtok ?? 0n),
    imageOutputNanosPerMtok: less(rates.imageOutputNanosPerMtok ?? 0n),
    cachedAudioInputNanosPerMtok: less(rates.cachedAudioInputNanosPerMtok ?? 0n),
    reasoningNanosPerMtok: less(rates.reasoningNanosPerMtok ?? 0n),
  };
}
