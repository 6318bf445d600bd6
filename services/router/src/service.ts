import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { dialects, providerDialects } from "@weir/dialects";
import { type Clock, systemClock, WeirError } from "@weir/kernel";
import { natsQuestions } from "@weir/events";
import type { Peers, Service } from "@weir/mesh";
import { providerAllowed } from "@weir/rules";
import type { DatabaseAddress } from "@weir/storage";
import type { Telemetry } from "@weir/telemetry";
import { buildTable, type Table, type TableOptions } from "./adapters/build-table.ts";
import { policyHolds } from "./adapters/policy-holds.ts";
import type { ProviderHttpOptions } from "./adapters/provider-http.ts";
import { natsHealthKeys, sharedHealth } from "./adapters/shared-health.ts";
import { tokenCounter } from "./adapters/token-counter.ts";
import { createCaches, requireEmbedders } from "./caching.ts";
import { routerConfigOf, type RouterSettings } from "./config.ts";
import { routerEvents } from "./events.ts";
import type { Call } from "./domain/call.ts";
import { ruled } from "./domain/route-table.ts";
import { type EmbeddedQuestion, embedQuestion } from "./flows/embed-question.ts";
import type { RoutedTarget } from "./ports.ts";
import { startHealthChecks } from "./flows/health-checks.ts";
import { requestFacts, type RequestFacts } from "./flows/rule-facts.ts";
import { candidates } from "./domain/candidates.ts";
import type { ProviderLoader } from "./providers/registry.ts";
import { cancelHere } from "./rpc/cancel.ts";
import { type Routing, routerRoutes } from "./rpc/routes.ts";

export interface RouterOptions {
  readonly config: RouterSettings;
  readonly telemetry: Pick<Telemetry, "log" | "metrics" | "recordCall">;
  readonly peers: Peers;
  readonly clock?: Clock;
  /** Uniform in [0, 1): for weighted routes and pauses. */
  readonly random?: () => number;
  /** Where providers' files are; default: this service's own. */
  readonly loadProvider?: ProviderLoader;
  /** For providers with a certificate of an authority of one's own. */
  readonly tls?: ProviderHttpOptions["tls"];
  /** Where answers are kept for all replicas; default: in this process. */
  readonly redisUrl?: string | undefined;
  /** Where answers are kept for all replicas by what was asked; default: in this process. */
  readonly database?: DatabaseAddress | undefined;
  /** Where replicas tell each other how targets do; default: there is one replica. */
  readonly natsUrl?: string | undefined;
  /** Where clouds' own tools look for credentials; default: the process's own. */
  readonly env?: TableOptions["env"];
}

export interface Router extends Service {
  /**
   * Puts another configuration in force at once; calls that run go on under the one they began with.
   * @throws Error where it cannot be used: then the one in force stays
   */
  reload(config: RouterOptions["config"]): Promise<void>;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Prices begin on dates: the table is made anew so often. */
const REFRESH_MS = 12 * 60 * 60 * 1000;
const SWEEP_MS = 5_000;
/** Less than whoever cancels waits for it. */
const CANCEL_MS = 75;
const DEFAULT_CACHE_BYTES = 128 * 1024 * 1024;

/** @throws Error for a configuration that cannot be used, naming what is wrong */
export async function createRouter(options: RouterOptions): Promise<Router> {
  const { telemetry, peers, clock = systemClock, random = Math.random, loadProvider: load, tls, env } = options;
  const build = async (config: RouterOptions["config"], previous?: Table): Promise<Table> => {
    const built = await buildTable({
      config: routerConfigOf(config),
      nowMs: clock.nowMs(),
      clock,
      load,
      tls,
      previous,
      ...(env === undefined ? {} : { env }),
      onCredentialFailure: (provider, err) => telemetry.log.warn({ err, provider }, "there is no credential"),
    });
    try {
      requireEmbedders(built);
      return built;
    } catch (error) {
      await built[Symbol.asyncDispose]();
      throw error;
    }
  };
  let { config } = options;
  let table = await build(config);
  // Made when first needed: the policy service may come up later.
  let policyClient: Client<typeof policy.PolicyService> | undefined;
  const holds = policyHolds(
    () => (policyClient ??= peers.client(policy.PolicyService)),
    (error) => telemetry.log.warn({ err: error }, "the hold of an attempt that was not made is still held"),
  );
  const events = routerEvents(telemetry, () => table.targets());
  const healthKeys = options.natsUrl === undefined ? undefined : natsHealthKeys(options.natsUrl);
  const streams: Routing["streams"] = new Map();
  const others =
    options.natsUrl === undefined
      ? undefined
      : natsQuestions({ url: options.natsUrl, subject: "weir.router.cancel" }, (id) => cancelHere(streams, id));
  const tokens = tokenCounter((error) => telemetry.log.error({ err: error }, "tokens were not counted"));
  const caches = createCaches({
    telemetry,
    clock,
    maxBytes: config.cache?.maxBytes ?? DEFAULT_CACHE_BYTES,
    redisUrl: options.redisUrl,
    database: options.database,
    meshToken: config.meshToken?.reveal(),
  });
  const prepareCaches = (): void => {
    if (table.listed.some(({ semantic }) => semantic !== undefined)) caches.openSemantic();
  };
  prepareCaches();
  /** Who may make vectors for a request: its rules count for them, too. */
  const embeddersOf = (call: Call, model: string): readonly RoutedTarget[] => {
    try {
      const { groups } = table.route(model);
      const all = groups.flatMap(({ targets }) => targets);
      return all.filter(({ provider, region }) => providerAllowed(call, provider, region));
    } catch (error) {
      // There is none of that name any more.
      if (error instanceof WeirError) return [];
      throw error;
    }
  };
  const routing: Routing = {
    flow: {
      dialects,
      wires: providerDialects,
      clock,
      random,
      holds,
      tokens,
      events,
      hedgeOf: (model) => table.hedges?.get(model),
      shared:
        healthKeys === undefined
          ? undefined
          : sharedHealth(
              healthKeys,
              randomUUID(),
              () => table.targets(),
              clock,
              (error) => telemetry.log.debug({ err: error }, "other replicas were not told of a target's health"),
            ),
      maxAnswerBytes: MAX_ANSWER_BYTES,
    },
    choose(call, input, stream) {
      const named = table.route(call.model);
      let read: RequestFacts | undefined;
      const facts = (): RequestFacts =>
        (read ??= requestFacts({ dialects, wires: providerDialects }, call, input, stream));
      const route = ruled(named, () => facts().forRules);
      const turn = route.turn++;
      const { allowedProviders, deniedProviders, allowedRegions, deniedRegions } = call;
      const { inputBound, outputCap, conversation } = call;
      const who = { allowedProviders, deniedProviders, allowedRegions, deniedRegions };
      const request = { inputBound, outputCap, conversation, stream, needs: () => facts().needs() };
      const targets = candidates(route, turn, {
        ...who,
        ...request,
        draws: [random(), random()],
        nowMs: clock.monotonicMs(),
        returning: random(),
        canary: random(),
        healthMs: clock.nowMs(),
      });
      if (route.cacheMs === 0) return { targets, caching: undefined };
      const tags = named.rules.length > 0 ? call.tags : undefined;
      const embed = (model: string, question: string, signal: AbortSignal): Promise<EmbeddedQuestion> =>
        embedQuestion(routing.flow, call, question, model, embeddersOf(call, model), signal);
      return { targets, caching: caches.cachingOf({ call, input, stream, route, tags, embed }) };
    },
    route: (model) => table.route(model),
    listed: () => table.listed,
    targets: () => table.targets(),
    upstreams: () => table.upstreams,
    streams,
    cancelElsewhere: async (requestId) => (await others?.ask(requestId, CANCEL_MS)) ?? false,
  };
  let stopChecks: (() => void) | undefined;
  const checkHealth = (): void => {
    stopChecks?.();
    const checking = { clock, shared: routing.flow.shared, events, targets: () => table.targets() };
    stopChecks = startHealthChecks(checking, table.checks);
  };
  // Tables that are in force no more, with calls that still run.
  const retired = new Set<Table>();
  const sweep = async (): Promise<void> => {
    const idle = [...retired].filter(({ upstreams }) => upstreams.every(({ stats }) => stats.inFlight === 0));
    for (const one of idle) retired.delete(one);
    await Promise.all(idle.map((one) => one[Symbol.asyncDispose]()));
  };
  const reload = async (next: RouterOptions["config"]): Promise<void> => {
    const built = await build(next, table);
    const previous = table;
    table = built;
    config = next;
    prepareCaches();
    retired.add(previous);
    if (stopChecks !== undefined) checkHealth();
    await sweep();
  };
  let refresher: NodeJS.Timeout | undefined;
  let sweeper: NodeJS.Timeout | undefined;
  return {
    name: "router",
    routes: routerRoutes(routing),
    async start() {
      const tell = (error: unknown): void => telemetry.log.error({ err: error }, "the routing table was not renewed");
      refresher = setInterval(() => void reload(config).catch(tell), REFRESH_MS).unref();
      sweeper = setInterval(() => void sweep().catch(tell), SWEEP_MS).unref();
      checkHealth();
    },
    notReady: () => undefined,
    reload,
    async [Symbol.asyncDispose]() {
      clearInterval(refresher);
      clearInterval(sweeper);
      stopChecks?.();
      await healthKeys?.[Symbol.asyncDispose]();
      await others?.[Symbol.asyncDispose]();
      await caches[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
      await Promise.all([table, ...retired].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}
