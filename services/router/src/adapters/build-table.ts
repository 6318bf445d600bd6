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
import { healthy } from "../domain/health.ts";
import { OutcomeRate } from "../domain/outcome-rate.ts";
import { UNSEEN } from "../domain/peak-ewma.ts";
import { type AliasConfig, groupOf, ownerOf, type Route, routesOf } from "../domain/route-table.ts";
import { type Vocabulary, vocabularyOf } from "../domain/vocabulary.ts";
import type { Wire } from "../domain/wire.ts";
import type { RenderedEndpoint, RoutedTarget, Upstream } from "../ports.ts";
import type { ProviderLoader } from "../providers/registry.ts";
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
}

/** @throws Error for a provider of an unknown kind, or without an address */
export async function buildTable(options: TableOptions): Promise<Table> {
  const { config, nowMs, load, tls, clock = systemClock, env = process.env } = options;
  const { onCredentialFailure = () => undefined } = options;
  const makers = new Map<string, Maker>();
  for (const provider of config.providers)
    makers.set(provider.name, await makerOf(provider, { load, tls, clock, env, onCredentialFailure }));
  const wantsBook = [...makers.values()].some(({ kind }) => kind.priceBook !== undefined);
  const book = wantsBook ? await loadPriceBook() : emptyPriceBook;
  const targets = new Map<string, RoutedTarget>();
  const targetOf = (provider: string, model: string, alias?: AliasConfig): RoutedTarget => {
    const maker = makers.get(provider);
    if (maker === undefined)
      throw new Error(`model "${alias?.name}" names provider "${provider}", which is not configured`);
    // An alias may have a price of its own; otherwise the same model is one target, however it is reached.
    const own = alias !== undefined && (alias.price ?? alias.contextWindow ?? alias.maxOutput) !== undefined;
    const key = `${provider}/${model}${own ? `#${alias.name}` : ""}`;
    const known = targets.get(key);
    if (known !== undefined) return known;
    const target = new ProviderTarget(
      maker,
      model,
      { book, nowMs, contracts: config.contracts },
      own ? alias : undefined,
    );
    targets.set(key, target);
    return target;
  };
  const routes = routesOf(config.aliases, targetOf);
  const single = (model: string, target: RoutedTarget): Route<RoutedTarget> => ({
    model,
    groups: [groupOf(["priority"], [{ target, weight: 1 }])],
    turn: 0,
  });
  const names = config.providers.map(({ name, kind }) => ({ name, kind }));
  const bare = new Map<string, Route<RoutedTarget>>();
  const published = [...makers.values()].flatMap(({ config: { name, kind: kindName }, kind }) => {
    if (kind.answer !== undefined) return [single(name, targetOf(name, name))];
    if (!LISTED_KINDS.has(kindName) || kind.priceBook === undefined) return [];
    return book.models(kind.priceBook, nowMs).map((model) => single(model, targetOf(name, model)));
  });
  const listed = [...routes.values(), ...published.filter(({ model }) => !routes.has(model))];
  return {
    route(model) {
      const known = routes.get(model) ?? bare.get(model);
      if (known !== undefined) return known;
      const owner = ownerOf(model, names);
      const made = single(model, targetOf(owner.provider, owner.model));
      if (bare.size >= MAX_BARE_NAMES) forgetOldest(bare, targets);
      bare.set(model, made);
      return made;
    },
    listed,
    upstreams: [...makers.values()].map(({ upstream }) => upstream),
    targets: () => targets.values(),
    async [Symbol.asyncDispose]() {
      await Promise.all([...makers.values()].map(({ upstream }) => upstream.transport[Symbol.asyncDispose]()));
    },
  };
}

function forgetOldest(bare: Map<string, Route<RoutedTarget>>, targets: Map<string, RoutedTarget>): void {
  const [oldest] = bare;
  if (oldest === undefined) return;
  const [name, route] = oldest;
  bare.delete(name);
  const target = route.groups[0]?.targets[0];
  if (target !== undefined && target.state.inFlight === 0) targets.delete(`${target.provider}/${target.model}`);
}

/** What prices are made of. */
interface Prices {
  readonly book: PriceBook;
  readonly nowMs: number;
  readonly contracts: readonly Contract[];
}

class ProviderTarget implements RoutedTarget {
  readonly provider: string;
  readonly kind: string;
  readonly model: string;
  readonly region: string;
  readonly price: RoutedTarget["price"];
  readonly plan: PricePlan;
  readonly priceBook: string;
  readonly vocabulary: Vocabulary | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
  readonly slowMs: number | undefined;
  readonly capabilities: RoutedTarget["capabilities"];
  readonly state: RoutedTarget["state"] = {
    health: healthy,
    inFlight: 0,
    outcomes: new OutcomeRate(),
    whole: UNSEEN,
    firstContent: UNSEEN,
  };
  readonly upstream: Upstream;
  readonly wires: readonly Wire[];
  readonly outputCaps: RoutedTarget["outputCaps"];
  readonly asksForUsage: boolean;
  readonly adapt: RoutedTarget["adapt"];
  readonly splice: RoutedTarget["splice"];
  readonly #whole = new Map<Wire, RenderedEndpoint>();
  readonly #streamed = new Map<Wire, RenderedEndpoint>();

  constructor(maker: Maker, model: string, prices: Prices, alias: AliasConfig | undefined) {
    const { config, kind, upstream } = maker;
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
