import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { dialects, providerDialects } from "@weir/dialects";
import { type Clock, systemClock } from "@weir/kernel";
import type { Peers, Service } from "@weir/mesh";
import type { Telemetry } from "@weir/telemetry";
import { buildTable, type Table, type TableOptions } from "./adapters/build-table.ts";
import { cacheKeyOf } from "./adapters/cache-key.ts";
import { memoryCache } from "./adapters/memory-cache.ts";
import { redisCache } from "./adapters/redis-cache.ts";
import { policyHolds } from "./adapters/policy-holds.ts";
import type { ProviderHttpOptions } from "./adapters/provider-http.ts";
import { natsHealthKeys, sharedHealth } from "./adapters/shared-health.ts";
import { tokenCounter } from "./adapters/token-counter.ts";
import { routerConfigOf, type RouterSettings } from "./config.ts";
import { attemptEvents } from "./events.ts";
import { cacheControlOf } from "./domain/cache-control.ts";
import type { Call, ChatInput, EmbedInput } from "./domain/call.ts";
import { type Route, ruled } from "./domain/route-table.ts";
import { AnswerFlights } from "./flows/answer-flights.ts";
import { type Caching, isCacheable } from "./flows/cached.ts";
import type { RoutedTarget } from "./ports.ts";
import { startHealthChecks } from "./flows/health-checks.ts";
import { requestFacts, type RequestFacts } from "./flows/rule-facts.ts";
import { candidates } from "./domain/candidates.ts";
import type { ProviderLoader } from "./providers/registry.ts";
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
const DEFAULT_CACHE_BYTES = 128 * 1024 * 1024;

/** @throws Error for a configuration that cannot be used, naming what is wrong */
export async function createRouter(options: RouterOptions): Promise<Router> {
  const { telemetry, peers, clock = systemClock, random = Math.random, loadProvider: load, tls, env } = options;
  const build = (config: RouterOptions["config"]): Promise<Table> =>
    buildTable({
      config: routerConfigOf(config),
      nowMs: clock.nowMs(),
      clock,
      load,
      tls,
      ...(env === undefined ? {} : { env }),
      onCredentialFailure: (provider, err) => telemetry.log.warn({ err, provider }, "there is no credential"),
    });
  let { config } = options;
  let table = await build(config);
  // Made when first needed: the policy service may come up later.
  let policyClient: Client<typeof policy.PolicyService> | undefined;
  const holds = policyHolds(
    () => (policyClient ??= peers.client(policy.PolicyService)),
    (error) => telemetry.log.warn({ err: error }, "the hold of an attempt that was not made is still held"),
  );
  const healthKeys = options.natsUrl === undefined ? undefined : natsHealthKeys(options.natsUrl);
  const tokens = tokenCounter((error) => telemetry.log.error({ err: error }, "tokens were not counted"));
  const told = (error: unknown): void => telemetry.log.debug({ err: error }, "the cache does not answer");
  const inRedis = options.redisUrl === undefined ? undefined : redisCache(options.redisUrl, told);
  const flights = new AnswerFlights(
    inRedis ?? memoryCache(options.config.cache?.maxBytes ?? DEFAULT_CACHE_BYTES, () => clock.nowMs()),
    () => clock.nowMs(),
  );
  const cachingOf = (
    call: Call,
    input: ChatInput | EmbedInput,
    stream: boolean,
    route: Route<RoutedTarget>,
    named: Route<RoutedTarget>,
  ): Caching | undefined => {
    if (!isCacheable(input, route.cacheMs, call) || input.kind !== "raw") return undefined;
    const dialect = "dialect" in input ? input.dialect : "openai-embeddings";
    const kind = dialect === "openai-embeddings" ? "embedding" : stream ? "stream" : "whole";
    const key = cacheKeyOf(call, { dialect, body: input.body }, kind, named.rules.length > 0 ? call.tags : undefined);
    if (key === undefined) return undefined;
    const control = cacheControlOf(call.headers.find(({ name }) => name === "cache-control")?.value);
    return { flights, key, ttlMs: route.cacheMs, control, nowMs: () => clock.nowMs() };
  };
  const routing: Routing = {
    flow: {
      dialects,
      wires: providerDialects,
      clock,
      random,
      holds,
      tokens,
      attempted: attemptEvents(telemetry),
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
      return { targets, caching: cachingOf(call, input, stream, route, named) };
    },
    route: (model) => table.route(model),
    listed: () => table.listed,
    targets: () => table.targets(),
    upstreams: () => table.upstreams,
    streams: new Map(),
  };
  let stopChecks: (() => void) | undefined;
  const checkHealth = (): void => {
    stopChecks?.();
    const checking = { clock, shared: routing.flow.shared, targets: () => table.targets() };
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
    const built = await build(next);
    const previous = table;
    table = built;
    config = next;
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
      await inRedis?.[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
      await Promise.all([table, ...retired].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}
