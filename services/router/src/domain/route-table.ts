/**
 * Everything that can be known about routes before a request comes: which targets an alias has, and after them those of its fallbacks.
 */
import { WeirError } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { Target } from "./target.ts";

export type Strategy = "priority" | "weighted" | "round-robin" | "cost" | "latency" | "least-busy" | "capability";

/** An alias as configured. */
export interface AliasConfig {
  readonly name: string;
  readonly strategy: Strategy;
  readonly targets: readonly { readonly provider: string; readonly model: string; readonly weight: number }[];
  readonly fallbacks: readonly string[];
  readonly price: Price | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
}

/** Targets that a strategy chooses among. All of a group come before all of the next. */
export interface Group<T extends Target = Target> {
  readonly strategy: Strategy;
  readonly targets: readonly T[];
  /** Beside the targets. */
  readonly weights: readonly number[];
}

export interface Route<T extends Target = Target> {
  readonly model: string;
  readonly groups: readonly Group<T>[];
  /** Counts calls, for round-robin. */
  turn: number;
}

/**
 * An alias's own group, then its fallbacks' in order, depth first; an alias that was there already (a cycle, a diamond) is passed over,
 * and so is a fallback that is no alias.
 */
export function routesOf<T extends Target>(
  aliases: ReadonlyMap<string, AliasConfig>,
  makeTarget: (provider: string, model: string, alias: AliasConfig) => T,
): Map<string, Route<T>> {
  const groups = new Map<string, Group<T>>();
  for (const alias of aliases.values()) {
    const targets = alias.targets.map((target) => makeTarget(target.provider, target.model, alias));
    const weights = alias.targets.map((target) => target.weight);
    groups.set(alias.name, sortedOnce({ strategy: alias.strategy, targets, weights }));
  }
  const routes = new Map<string, Route<T>>();
  for (const name of aliases.keys()) {
    const chain: Group<T>[] = [];
    const seen = new Set<string>();
    const add = (alias: string): void => {
      const group = groups.get(alias);
      if (group === undefined || seen.has(alias)) return;
      seen.add(alias);
      chain.push(group);
      for (const fallback of aliases.get(alias)?.fallbacks ?? []) add(fallback);
    };
    add(name);
    routes.set(name, { model: name, groups: chain, turn: 0 });
  }
  return routes;
}

/** Prices do not change between requests: the cheapest first, unknown prices last. */
function sortedOnce<T extends Target>(group: Group<T>): Group<T> {
  if (group.strategy !== "cost") return group;
  const cost = ({ price }: T): bigint | undefined =>
    price === undefined ? undefined : price.inputNanosPerMtok + price.outputNanosPerMtok;
  const targets = [...group.targets].sort((one, other) => {
    const a = cost(one);
    const b = cost(other);
    if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
    return a < b ? -1 : Number(a > b);
  });
  return { strategy: "priority", targets, weights: targets.map(() => 1) };
}

/** Whose models a bare name is by its beginning. */
const OWNERS: readonly (readonly [prefix: string, kind: string])[] = [
  ["gpt-", "openai"],
  ["chatgpt-", "openai"],
  ["o1", "openai"],
  ["o3", "openai"],
  ["o4", "openai"],
  ["text-embedding-", "openai"],
  ["claude-", "anthropic"],
  ["gemini-", "gemini"],
];

export interface ProviderName {
  readonly name: string;
  readonly kind: string;
}

/**
 * Who serves a name that is no alias: `provider/model`, a name whose beginning tells its maker, or anything at all where echo is the
 * only provider.
 * @param providers in the order of the configuration: of two of a kind the first is taken
 * @throws WeirError model_not_found
 */
export function ownerOf(model: string, providers: readonly ProviderName[]): { provider: string; model: string } {
  const slash = model.indexOf("/");
  if (slash > 0) {
    const named = providers.find((provider) => provider.name === model.slice(0, slash));
    if (named !== undefined && slash + 1 < model.length) return { provider: named.name, model: model.slice(slash + 1) };
  }
  for (const [prefix, kind] of OWNERS) {
    if (!model.startsWith(prefix)) continue;
    const owner = providers.find((provider) => provider.kind === kind);
    if (owner !== undefined) return { provider: owner.name, model };
  }
  const echo = providers.find((provider) => provider.kind === "echo");
  const onlyEcho = providers.every((provider) => provider.kind === "echo");
  if (echo !== undefined && (onlyEcho || model === echo.name)) return { provider: echo.name, model };
  throw new WeirError("model_not_found", `There is no model "${model.slice(0, 100)}" here.`, { param: "model" });
}
