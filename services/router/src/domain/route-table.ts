/**
 * Everything that can be known about routes before a request comes: which targets an alias has, and after them those of its fallbacks.
 */
import { WeirError } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { Member, Strategy } from "./strategy.ts";
import type { Target } from "./target.ts";

/** An alias as configured. */
export interface AliasConfig {
  readonly name: string;
  /** Each ranks those that the ones before it hold equal. */
  readonly strategies: readonly Strategy[];
  readonly targets: readonly { readonly provider: string; readonly model: string; readonly weight: number }[];
  readonly fallbacks: readonly string[];
  readonly price: Price | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
}

/** Targets that strategies choose among. All of a group come before all of the next. */
export interface Group<T extends Target = Target> {
  readonly strategies: readonly Strategy[];
  /** As configured. */
  readonly targets: readonly T[];
  readonly members: readonly Member<T>[];
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
  makeTargets: (provider: string, model: string, alias: AliasConfig) => readonly T[],
): Map<string, Route<T>> {
  const groups = new Map<string, Group<T>>();
  for (const alias of aliases.values()) {
    const configured = alias.targets.map(({ provider, model, weight }) => ({
      targets: makeTargets(provider, model, alias),
      weight,
    }));
    groups.set(alias.name, groupOf(alias.strategies, configured));
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

/** @param configured each with a target for each of its provider's accounts: they share its weight and take turns */
export function groupOf<T extends Target>(
  strategies: readonly Strategy[],
  configured: readonly { readonly targets: readonly T[]; readonly weight: number }[],
): Group<T> {
  const members = configured.flatMap(({ targets, weight }, place) =>
    targets.map((target) => ({ target, place, weight: weight / targets.length })),
  );
  return {
    strategies: members.length > configured.length ? [...strategies, "round-robin"] : strategies,
    targets: members.map(({ target }) => target),
    members,
  };
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
