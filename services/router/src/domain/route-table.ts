/**
 * Everything that can be known about routes before a request comes: which targets an alias has, and after them those of its fallbacks.
 */
import { WeirError } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { HedgeConfig } from "./hedge.ts";
import type { Member, Strategy } from "./strategy.ts";
import type { Target } from "./target.ts";

/** An alias as configured. */
export interface AliasConfig {
  readonly name: string;
  /** Each ranks those that the ones before it hold equal. */
  readonly strategies: readonly Strategy[];
  readonly targets: readonly { readonly provider: string; readonly model: string; readonly weight: number }[];
  readonly fallbacks: readonly string[];
  readonly rules: readonly RouteRule[];
  readonly canary: { readonly provider: string; readonly model: string; readonly percent: number } | undefined;
  readonly shadow?: Shadow | undefined;
  /** 0: answers are not kept. */
  readonly cacheMs: number;
  readonly semantic?: SemanticSettings | undefined;
  readonly hedge?: HedgeConfig | undefined;
  readonly price: Price | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
}

/** Whose answers do for questions that are alike. */
export interface SemanticSettings {
  /** A name as clients use them. */
  readonly embeddingModel: string;
  /** The least cosine. */
  readonly threshold: number;
  readonly ttlMs: number;
  /** Of a workspace. */
  readonly maxEntries: number;
}

/** What a rule may look at: made by whoever has the request, read only where there are rules. */
export interface RuleFacts {
  readonly model: string;
  readonly stream: boolean;
  readonly tools: boolean;
  readonly media: boolean;
  readonly structured: boolean;
  readonly input_tokens: bigint;
  readonly output_tokens: bigint;
  readonly messages: bigint;
  readonly text: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly conversation: string;
}

export interface RouteRule {
  readonly when: string;
  /** Compiled from `when`. */
  readonly matches: (request: RuleFacts) => boolean;
  /** Another alias. */
  readonly use: string;
}

/** Targets that strategies choose among. All of a group come before all of the next. */
export interface Group<T extends Target = Target> {
  readonly strategies: readonly Strategy[];
  /** As configured. */
  readonly targets: readonly T[];
  readonly members: readonly Member<T>[];
}

/** New targets that get a part of the requests before the others, which stand in for them. */
export interface Canary<T extends Target = Target> {
  readonly targets: readonly T[];
  /** From 0 to 1. */
  readonly share: number;
}

/** Who gets copies of requests: the ingress makes them, as requests of their own. */
export interface Shadow {
  readonly provider: string;
  readonly model: string;
  /** From 0 to 1. */
  readonly share: number;
  readonly keyId: string;
  /** Of one ingress. */
  readonly maxConcurrent: number;
}

export interface Route<T extends Target = Target> {
  readonly model: string;
  readonly groups: readonly Group<T>[];
  /** The first that matches says which other route is taken instead; that one's own rules are not looked at. */
  readonly rules: readonly (Pick<RouteRule, "when" | "matches"> & { readonly route: Route<T> })[];
  readonly canary: Canary<T> | undefined;
  readonly shadow?: Shadow | undefined;
  /** How long answers are kept; 0: they are not. */
  readonly cacheMs: number;
  readonly semantic?: SemanticSettings | undefined;
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
  for (const [name, alias] of aliases) {
    const chain: Group<T>[] = [];
    const seen = new Set<string>();
    const add = (link: string): void => {
      const group = groups.get(link);
      if (group === undefined || seen.has(link)) return;
      seen.add(link);
      chain.push(group);
      for (const fallback of aliases.get(link)?.fallbacks ?? []) add(fallback);
    };
    add(name);
    const { canary } = alias;
    routes.set(name, {
      model: name,
      groups: chain,
      rules: [],
      canary:
        canary === undefined
          ? undefined
          : { targets: makeTargets(canary.provider, canary.model, alias), share: canary.percent / 100 },
      shadow: alias.shadow,
      cacheMs: alias.cacheMs,
      semantic: alias.semantic,
      turn: 0,
    });
  }
  for (const [name, { rules }] of aliases) {
    const route = routes.get(name);
    const found = rules.flatMap(({ when, matches, use }) => {
      const other = routes.get(use);
      return other === undefined ? [] : [{ when, matches, route: other }];
    });
    if (route !== undefined && found.length > 0) routes.set(name, { ...route, rules: found });
  }
  return routes;
}

/** Every target that a request for a route may reach: what its cost is bounded by. */
export function* reachable<T extends Target>(route: Route<T>): Generator<T> {
  const seen = new Set<T>();
  for (const { groups, canary } of [route, ...route.rules.map((rule) => rule.route)]) {
    for (const target of [...groups.flatMap(({ targets }) => targets), ...(canary?.targets ?? [])]) {
      if (!seen.has(target)) yield target;
      seen.add(target);
    }
  }
}

/** @param facts asked only where there are rules */
export function ruled<T extends Target>(route: Route<T>, facts: () => RuleFacts): Route<T> {
  if (route.rules.length === 0) return route;
  const asked = facts();
  return route.rules.find(({ matches }) => matches(asked))?.route ?? route;
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
