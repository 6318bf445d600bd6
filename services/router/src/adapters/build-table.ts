import {
  capabilitiesOf,
  type Contract,
  emptyPriceBook,
  loadPriceBook,
  planOf,
  type PriceBook,
  type PriceFrom,
  priceAt,
  type PricePlan,
} from "@weir/pricing";
import { type Clock, systemClock } from "@weir/kernel";
import type { RouterConfig } from "../config.ts";
import { overriding } from "../config-prices.ts";
import { AdaptiveLimit, fixedLimit } from "../domain/concurrency-limit.ts";
import { healthy } from "../domain/health.ts";
import { Hedge } from "../domain/hedge.ts";
import { OutcomeRate } from "../domain/outcome-rate.ts";
import { UNSEEN } from "../domain/peak-ewma.ts";
import { type AliasConfig, groupOf, ownerOf, type Route, routesOf } from "../domain/route-table.ts";
import { TargetGate } from "../domain/target-gate.ts";
import { type Vocabulary, vocabularyOf } from "../domain/vocabulary.ts";
import type { Wire } from "../domain/wire.ts";
import type { HealthCheck, RenderedEndpoint, RoutedTarget, Upstream } from "../ports.ts";
import type { ProviderLoader } from "../providers/registry.ts";
import { healthProbe } from "./health-probe.ts";
import { type Known, keptState } from "./kept-state.ts";
import { type Maker, makerOf, type MakerOptions, renderedEndpoint, wiresOf } from "./maker.ts";
import type { ProviderHttpOptions } from "./provider-http.ts";

/** Everything that is chosen once per configuration. */
export interface Table extends AsyncDisposable {
  /** @throws WeirError model_not_found */
  route(model: string): Route<RoutedTarget>;
  /** What is listed for clients: the aliases, and what the configured makers' books know. */
  readonly listed: readonly Route<RoutedTarget>[];
  readonly upstreams: readonly Upstream[];
  readonly targets: () => Iterable<RoutedTarget>;
  /** Of the models that are hedged; undefined: none is. */
  readonly hedges: ReadonlyMap<string, Hedge> | undefined;
  readonly checks: readonly HealthCheck[];
  /** Its targets, for the table after it. */
  readonly known: () => ReadonlyMap<string, Known>;
}

/** Names that clients made up are remembered up to here. */
const MAX_BARE_NAMES = 1_000;
/** Whose published models are listed by their bare names. */
const LISTED_KINDS: ReadonlySet<string> = new Set(["openai", "anthropic", "gemini"]);

export interface TableOptions {
  readonly config: RouterConfig;
  readonly nowMs: number;
  readonly load?: ProviderLoader | undefined;
  readonly tls?: ProviderHttpOptions["tls"];
  readonly clock?: Clock;
  /** Default: the process's own. */
  readonly env?: MakerOptions["env"];
  readonly onCredentialFailure?: MakerOptions["onCredentialFailure"];
  /** The one in force until now. */
  readonly previous?: Pick<Table, "known" | "hedges"> | undefined;
}

/** @throws Error for a provider of an unknown kind, or without an address */
export async function buildTable(options: TableOptions): Promise<Table> {
  const { config, nowMs, load, tls, clock = systemClock, env = process.env } = options;
  const { onCredentialFailure = () => undefined, previous } = options;
  // Not the table itself: each would keep the one before it.
  const before = previous?.known() ?? new Map<string, Known>();
  const makers = new Map<string, Maker[]>();
  for (const provider of config.providers) {
    const accounts = [provider, ...provider.moreApiKeys.map((apiKey) => ({ ...provider, apiKey }))];
    makers.set(
      provider.name,
      await Promise.all(accounts.map((one) => makerOf(one, { load, tls, clock, env, onCredentialFailure }))),
    );
  }
  const wantsBook = [...makers.values()].flat().some(({ kind }) => kind.priceBook !== undefined);
  const book = wantsBook ? await loadPriceBook() : emptyPriceBook;
  const targets = new Map<string, ProviderTarget>();
  const targetsOf = (provider: string, model: string, alias?: AliasConfig): RoutedTarget[] => {
    const accounts = makers.get(provider);
    if (accounts === undefined)
      throw new Error(`model "${alias?.name}" names provider "${provider}", which is not configured`);
    return accounts.map((maker, account) => targetOf(maker, account, model, alias));
  };
  const targetOf = (maker: Maker, account: number, model: string, alias?: AliasConfig): RoutedTarget => {
    // An alias may have a price of its own; otherwise the same model is one target, however it is reached.
    const own = alias !== undefined && (alias.price ?? alias.contextWindow ?? alias.maxOutput) !== undefined;
    const key = `${maker.config.name}/${model}#${account}${own ? `#${alias.name}` : ""}`;
    const known = targets.get(key);
    if (known !== undefined) return known;
    const target = new ProviderTarget(
      maker,
      account,
      model,
      { book, nowMs, contracts: config.contracts },
      own ? alias : undefined,
      before.get(key),
    );
    targets.set(key, target);
    return target;
  };
  const routes = routesOf(config.aliases, targetsOf);
  const single = (model: string, targets: readonly RoutedTarget[]): Route<RoutedTarget> => ({
    model,
    groups: [groupOf(["priority"], [{ targets, weight: 1 }])],
    rules: [],
    canary: undefined,
    cacheMs: 0,
    turn: 0,
  });
  const names = config.providers.map(({ name, kind }) => ({ name, kind }));
  const bare = new Map<string, Route<RoutedTarget>>();
  const first = [...makers.values()].flatMap((accounts) => accounts.slice(0, 1));
  const published = first.flatMap(({ config: { name, kind: kindName }, kind }) => {
    if (kind.answer !== undefined) return [single(name, targetsOf(name, name))];
    if (!LISTED_KINDS.has(kindName) || kind.priceBook === undefined) return [];
    return book.models(kind.priceBook, nowMs).map((model) => single(model, targetsOf(name, model)));
  });
  const checks = first.flatMap(({ config: { name, healthCheck }, kind, base: { origin } }) =>
    healthCheck === undefined || kind.answer !== undefined ? [] : [healthProbe(name, origin, healthCheck, tls)],
  );
  const listed = [...routes.values(), ...published.filter(({ model }) => !routes.has(model))];
  return {
    route(model) {
      const known = routes.get(model) ?? bare.get(model);
      if (known !== undefined) return known;
      const owner = ownerOf(model, names);
      const made = single(model, targetsOf(owner.provider, owner.model));
      if (bare.size >= MAX_BARE_NAMES) forgetOldest(bare, targets);
      bare.set(model, made);
      return made;
    },
    listed,
    upstreams: [...makers.values()].flat().map(({ upstream }) => upstream),
    targets: () => targets.values(),
    hedges: hedgesOf(config.aliases, previous?.hedges),
    checks,
    known: () => new Map([...targets].map(([key, target]) => [key, { config: target.config, target }])),
    async [Symbol.asyncDispose]() {
      const open = [...[...makers.values()].flat().map(({ upstream }) => upstream.transport), ...checks];
      await Promise.all(open.map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

const USUAL_QUEUE = { length: 64, waitMs: 1_000 };

const gateOf = ({ concurrency, queue = USUAL_QUEUE }: Maker["config"]): TargetGate | undefined =>
  concurrency === undefined
    ? undefined
    : new TargetGate(concurrency === "adaptive" ? new AdaptiveLimit() : fixedLimit(concurrency), queue);

function hedgesOf(
  aliases: ReadonlyMap<string, AliasConfig>,
  before: Table["hedges"],
): ReadonlyMap<string, Hedge> | undefined {
  const hedged = [...aliases].flatMap(([name, { hedge }]) => {
    if (hedge === undefined) return [];
    const known = before?.get(name);
    return [[name, known?.isAs(hedge) === true ? known : new Hedge(hedge)] as const];
  });
  return hedged.length === 0 ? undefined : new Map(hedged);
}

function forgetOldest(bare: Map<string, Route<RoutedTarget>>, targets: Map<string, ProviderTarget>): void {
  const [oldest] = bare;
  if (oldest === undefined) return;
  const [name, route] = oldest;
  bare.delete(name);
  for (const { provider, model, account, state } of route.groups[0]?.targets ?? [])
    if (state.inFlight === 0) targets.delete(`${provider}/${model}#${account}`);
}

/** What prices are made of. */
interface Prices {
  readonly book: PriceBook;
  readonly nowMs: number;
  readonly contracts: readonly Contract[];
}

const unseen = (): RoutedTarget["state"] => ({
  health: healthy,
  inFlight: 0,
  outcomes: new OutcomeRate(),
  whole: UNSEEN,
  firstContent: UNSEEN,
});

class ProviderTarget implements RoutedTarget {
  readonly config: Maker["config"];
  readonly provider: string;
  readonly kind: string;
  readonly model: string;
  readonly account: number;
  readonly region: string;
  readonly price: RoutedTarget["price"];
  readonly plan: PricePlan;
  readonly priceBook: string;
  readonly vocabulary: Vocabulary | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
  readonly slowMs: number | undefined;
  readonly gate: TargetGate | undefined;
  readonly capabilities: RoutedTarget["capabilities"];
  readonly state: RoutedTarget["state"];
  readonly upstream: Upstream;
  readonly wires: readonly Wire[];
  readonly outputCaps: RoutedTarget["outputCaps"];
  readonly asksForUsage: boolean;
  readonly adapt: RoutedTarget["adapt"];
  readonly splice: RoutedTarget["splice"];
  readonly #whole = new Map<Wire, RenderedEndpoint>();
  readonly #streamed = new Map<Wire, RenderedEndpoint>();

  constructor(
    maker: Maker,
    account: number,
    model: string,
    prices: Prices,
    alias: AliasConfig | undefined,
    before: Known | undefined,
  ) {
    const { config, kind, upstream } = maker;
    const kept = keptState(before, config);
    this.config = config;
    this.state = kept?.state ?? unseen();
    const { book, nowMs, contracts } = prices;
    const facts = kind.priceBook === undefined ? undefined : book.facts(kind.priceBook, model, nowMs);
    const published: readonly PriceFrom[] =
      kind.price !== undefined
        ? [{ fromMs: 0, price: kind.price }]
        : kind.priceBook === undefined
          ? []
          : book.schedule(kind.priceBook, model);
    const own = alias?.price;
    const schedule =
      own === undefined ? published : [{ fromMs: 0, price: overriding(own, kind.price ?? facts?.price) }];
    this.provider = config.name;
    this.kind = config.kind;
    this.model = model;
    this.account = account;
    this.region = config.region ?? "";
    this.plan = planOf(config.name, model, schedule, contracts);
    this.price = priceAt(this.plan, "", nowMs);
    this.priceBook = kind.priceBook ?? "";
    this.vocabulary = vocabularyOf(config.kind, model);
    this.capabilities = kind.priceBook === undefined ? {} : capabilitiesOf(kind.priceBook, model);
    this.contextWindow =
      alias?.contextWindow ?? kind.contextWindow ?? facts?.contextWindow ?? this.capabilities.contextWindow;
    this.maxOutput = alias?.maxOutput ?? kind.maxOutput;
    this.slowMs = config.timeouts.slowMs;
    this.gate = kept === undefined || kept.gate === "new" ? gateOf(config) : kept.gate;
    this.upstream = upstream;
    this.wires = wiresOf(kind, model);
    this.outputCaps = kind.quirks.outputCaps;
    this.asksForUsage = kind.quirks.asksForUsage;
    this.adapt = kind.quirks.adapt;
    this.splice = kind.quirks.splice;
    for (const wire of this.wires) {
      this.#whole.set(wire, renderedEndpoint(maker, model, wire, false));
      this.#streamed.set(wire, renderedEndpoint(maker, model, wire, true));
    }
  }

  endpoint(wire: Wire, stream: boolean): RenderedEndpoint {
    const found = (stream ? this.#streamed : this.#whole).get(wire);
    if (found === undefined) throw new TypeError(`${this.kind} does not speak ${wire}`);
    return found;
  }
}
