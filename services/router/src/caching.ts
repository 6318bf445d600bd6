import { randomBytes } from "node:crypto";
import type { Json } from "@weir/dialects";
import { type Clock, nanos } from "@weir/kernel";
import type { DatabaseAddress } from "@weir/storage";
import type { Telemetry } from "@weir/telemetry";
import { cacheContext, cacheKeyOf } from "./adapters/cache-key.ts";
import { memoryCache } from "./adapters/memory-cache.ts";
import { memorySemanticCache } from "./adapters/memory-semantic-cache.ts";
import { questionSecret, questionSpace } from "./adapters/question-space.ts";
import { redisCache } from "./adapters/redis-cache.ts";
import { openSemanticStore } from "./adapters/semantic-store.ts";
import { cacheEvents } from "./cache-events.ts";
import { cacheControlOf } from "./domain/cache-control.ts";
import type { Call, ChatInput, EmbedInput } from "./domain/call.ts";
import { questionOf } from "./domain/question.ts";
import type { Route } from "./domain/route-table.ts";
import { isEmbedWire } from "./domain/wire.ts";
import { AnswerFlights } from "./flows/answer-flights.ts";
import type { Caching } from "./flows/cached.ts";
import type { EmbeddedQuestion } from "./flows/embed-question.ts";
import type { SemanticCaching } from "./flows/semantic.ts";
import type { RoutedTarget, SemanticCache } from "./ports.ts";

export interface CachesOptions {
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  readonly clock: Clock;
  /** Of answers in this process, and of as many by what was asked. */
  readonly maxBytes: number;
  /** Where answers are kept for all replicas; undefined: in this process. */
  readonly redisUrl: string | undefined;
  /** The same for what is found by what was asked. */
  readonly database: DatabaseAddress | undefined;
  /** Shared by all replicas. Undefined: each reads only what it kept itself. */
  readonly meshToken: string | undefined;
}

/** A request, and where it goes. */
export interface Cacheable {
  readonly call: Call;
  readonly input: ChatInput | EmbedInput;
  readonly stream: boolean;
  /** Whose settings count; it keeps answers. */
  readonly route: Route;
  /** What its rules may look at. */
  readonly tags: Call["tags"] | undefined;
  /** Asks `model` for a question's vector. Never rejects. */
  readonly embed: (model: string, question: string, signal: AbortSignal) => Promise<EmbeddedQuestion>;
}

export interface Caches extends AsyncDisposable {
  /** How a request uses the cache; undefined: not at all. @throws WeirError invalid_request for an `x-weir-cache` that is none of its words */
  cachingOf(cacheable: Cacheable): Caching | undefined;
  /** A model wants it: opens it in the background, so that the first request need not. */
  openSemantic(): void;
}

/** @throws Error for a model that wants vectors from who makes none, or from nobody */
export function requireEmbedders({
  listed,
  route,
}: {
  readonly listed: readonly Route<RoutedTarget>[];
  readonly route: (model: string) => Route<RoutedTarget>;
}): void {
  for (const { model, semantic } of listed) {
    if (semantic === undefined) continue;
    const problem = `model "${model}": cache.semantic.embedding_model: "${semantic.embeddingModel}"`;
    let makers: readonly RoutedTarget[];
    try {
      makers = route(semantic.embeddingModel).groups.flatMap(({ targets }) => targets);
    } catch (cause) {
      throw new Error(`${problem} is no model`, { cause });
    }
    if (!makers.every(({ wires }) => wires.some(isEmbedWire))) throw new Error(`${problem} makes no embeddings`);
  }
}

const SWEEP_MS = 60_000;
const BYPASS = { outcome: "bypass", ageMs: 0, savedNanos: nanos(0n), similarity: 0 } as const;

export function createCaches({ telemetry, clock, maxBytes, redisUrl, database, meshToken }: CachesOptions): Caches {
  const nowMs = (): number => clock.nowMs();
  const told = (error: unknown): void => telemetry.log.debug({ err: error }, "the cache does not answer");
  const unusable = (error: unknown): void =>
    telemetry.log.error({ err: error }, "the semantic cache cannot use its database: it keeps nothing");
  const events = cacheEvents(telemetry, () => inMemory.bytes + (semanticInMemory?.bytes ?? 0));
  const evicted = (entries: number): void => events.evicted(entries);
  const inRedis = redisUrl === undefined ? undefined : redisCache(redisUrl, told);
  const inMemory = memoryCache(maxBytes, nowMs, evicted);
  const flights = new AnswerFlights(inRedis ?? inMemory, nowMs, inRedis);
  const secret = questionSecret(meshToken ?? randomBytes(32).toString("hex"));
  let semanticInMemory: ReturnType<typeof memorySemanticCache> | undefined;
  let semanticStore: (SemanticCache & AsyncDisposable) | undefined;
  const semanticCache = (): SemanticCache =>
    database === undefined
      ? (semanticInMemory ??= memorySemanticCache(maxBytes, nowMs, evicted))
      : (semanticStore ??= openSemanticStore({
          database,
          nowMs,
          onError: told,
          onUnusable: unusable,
          onEvicted: evicted,
        }));
  const sweeper = setInterval(() => {
    inMemory.sweep();
    semanticInMemory?.sweep();
  }, SWEEP_MS).unref();

  function cachingOf({ call, input, stream, route, tags, embed }: Cacheable): Caching | undefined {
    const header = (wanted: string): string | undefined => call.headers.find(({ name }) => name === wanted)?.value;
    const control = cacheControlOf(header("cache-control"), header("x-weir-cache"));
    // Typed callers get messages, which are not kept.
    if (input.kind !== "raw" || call.cacheable === "off") {
      events.used(call.model, BYPASS);
      return undefined;
    }
    const body = parsed(input.body);
    if (body === undefined) return undefined;
    const dialect = "dialect" in input ? input.dialect : undefined;
    const kind = dialect === undefined ? "embedding" : stream ? "stream" : "whole";
    const context = cacheContext(call, dialect ?? "openai-embeddings", kind, tags);
    const { semantic: configured } = route;
    const wantsLikeness = configured !== undefined && control.semantic && call.cacheable === "semantic";
    const question = wantsLikeness && dialect !== undefined ? questionOf(dialect, body) : undefined;
    let semantic: SemanticCaching | undefined;
    if (configured !== undefined && question !== undefined) {
      const { embeddingModel, threshold, ttlMs, maxEntries } = configured;
      semantic = {
        cache: semanticCache(),
        spaceOf: ({ provider, model }) => questionSpace(secret, call, context, question, `${provider}/${model}`),
        threshold,
        ttlMs,
        mostEntries: maxEntries,
        async embed(signal) {
          const embedded = await embed(embeddingModel, question.text, signal);
          events.embedded(embedded.end);
          return embedded;
        },
      };
    }
    const likeness = semantic === undefined ? "" : `${semantic.threshold} ${configured?.embeddingModel}`;
    const key = cacheKeyOf(context, body, likeness);
    return { key, ttlMs: route.cacheMs, control, model: call.model, flights, events, nowMs, semantic };
  }

  return {
    cachingOf,
    openSemantic: () => void semanticCache(),
    async [Symbol.asyncDispose]() {
      clearInterval(sweeper);
      await inRedis?.[Symbol.asyncDispose]();
      await semanticStore?.[Symbol.asyncDispose]();
    },
  };
}

/** @returns undefined for what is refused by whoever reads it for a provider */
function parsed(body: Uint8Array): Json | undefined {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8")) as Json;
  } catch {
    return undefined;
  }
}
