import type { Call, CallResult, ChatInput, RawAnswer } from "../domain/call.ts";
import type { CacheControl } from "../domain/cache-control.ts";
import type { CacheKey, KeptAnswer } from "../ports.ts";
import type { AnswerFlights } from "./answer-flights.ts";
import type { Shown } from "./stream-side.ts";
import type { StreamMessage } from "./stream.ts";

/** How a request uses the cache. */
export interface Caching {
  readonly flights: AnswerFlights;
  readonly key: CacheKey;
  readonly ttlMs: number;
  readonly control: CacheControl;
  readonly nowMs: () => number;
}

/** Larger ones are not kept. */
const MAX_KEPT_BYTES = 1 << 20;
const NOTHING = new Uint8Array(0);

interface Whole<Output> {
  readonly result: CallResult;
  readonly output: Output;
}
type RawOutput = { readonly kind: "raw"; readonly answer: RawAnswer };

/** @param run calls a provider */
export async function completeCached<Output extends { readonly kind: string }>(
  caching: Caching,
  signal: AbortSignal,
  run: () => Promise<Whole<Output | RawOutput>>,
): Promise<Whole<Output | RawOutput>> {
  const entry = await caching.flights.enter(caching.key, caching.ttlMs, caching.control, signal);
  if (entry.kind === "hit") {
    const { status, contentType, body } = entry.answer;
    return {
      result: hitResult(entry.answer, caching.nowMs()),
      output: { kind: "raw", answer: { status, contentType, body } },
    };
  }
  let kept: KeptAnswer | undefined;
  try {
    const { result, output } = await run();
    kept = output.kind === "raw" ? keptWhole(result, (output as RawOutput).answer, caching.nowMs()) : undefined;
    return { result: { ...result, cache: MISS }, output };
  } finally {
    entry.landed(kept);
  }
}

const MISS = { hit: false, ageMs: 0, savedNanos: 0n as CallResult["attempts"][number]["costNanos"] };

function keptWhole(
  result: CallResult,
  { status, contentType, body }: RawAnswer,
  nowMs: number,
): KeptAnswer | undefined {
  if (result.error !== undefined || status !== 200 || body.length > MAX_KEPT_BYTES) return undefined;
  return keptOf(result, nowMs, { status, contentType, body, terminal: NOTHING, outputBytes: 0 });
}

function keptOf(
  { served, usage, finishReason, dropped, attempts, priceVersion }: CallResult,
  atMs: number,
  said: Pick<KeptAnswer, "status" | "contentType" | "body" | "terminal" | "outputBytes">,
): KeptAnswer | undefined {
  if (served === undefined || finishReason === "error" || finishReason === "content-filter") return undefined;
  const { provider, model, region, attempt } = served;
  const costNanos = attempts.reduce((sum, attempt) => sum + attempt.costNanos, 0n);
  return {
    atMs,
    served: { provider, model, region, attempt },
    usage,
    finishReason,
    dropped,
    costNanos,
    priceVersion,
    ...said,
  };
}

function hitResult(kept: KeptAnswer, nowMs: number): CallResult {
  return {
    served: { ...kept.served, attempt: 0 },
    usage: kept.usage,
    finishReason: kept.finishReason,
    attempts: [],
    error: undefined,
    dropped: kept.dropped,
    headers: [],
    providerUs: 0,
    firstTokenUs: 0,
    priceVersion: kept.priceVersion,
    cache: { hit: true, ageMs: Math.max(0, nowMs - kept.atMs), savedNanos: kept.costNanos as typeof MISS.savedNanos },
  };
}

/** @param run calls a provider */
export async function* streamCached(
  caching: Caching,
  signal: AbortSignal,
  run: () => AsyncGenerator<StreamMessage, void, undefined>,
): AsyncGenerator<StreamMessage, void, undefined> {
  const entry = await caching.flights.enter(caching.key, caching.ttlMs, caching.control, signal);
  if (entry.kind === "hit") return yield* replayed(entry.answer, caching.nowMs());
  const frames: Uint8Array[] = [];
  let bytes = 0;
  let kept: KeptAnswer | undefined;
  try {
    for await (const message of run()) {
      if (message.kind === "shown" && bytes <= MAX_KEPT_BYTES) {
        for (const one of message.shown) bytes += collect(frames, one);
      }
      if (message.kind === "start") yield { ...message, cache: MISS };
      else if (message.kind === "end") {
        if (message.failure === undefined && message.result.error === undefined && bytes <= MAX_KEPT_BYTES) {
          kept = keptOf(message.result, caching.nowMs(), {
            status: 200,
            contentType: "text/event-stream",
            body: Buffer.concat(frames),
            terminal: message.terminal,
            outputBytes: message.outputBytes,
          });
        }
        yield { ...message, result: { ...message.result, cache: MISS } };
      } else yield message;
    }
  } finally {
    entry.landed(kept);
  }
}

/** @returns how many bytes it has; of typed events, which are not kept, too many */
function collect(frames: Uint8Array[], shown: Shown): number {
  if (shown.kind !== "frame") return MAX_KEPT_BYTES + 1;
  frames.push(shown.bytes);
  return shown.bytes.length;
}

function* replayed(kept: KeptAnswer, nowMs: number): Generator<StreamMessage, void, undefined> {
  const result = hitResult(kept, nowMs);
  const { served, cache } = result;
  if (served === undefined) return;
  const { outputBytes, terminal, dropped } = kept;
  yield {
    kind: "start",
    served,
    dropped,
    price: undefined,
    inputTokensEstimate: 0,
    failures: [],
    outputBytes: 0,
    headers: [],
    cache,
  };
  yield { kind: "shown", shown: [{ kind: "frame", bytes: kept.body }], outputBytes };
  yield { kind: "end", result, terminal, failure: undefined, outputBytes };
}

/** Whether a request's answer can be kept at all. Typed callers get messages, which are not. */
export const isCacheable = (input: Pick<ChatInput, "kind">, cacheMs: number, call: Pick<Call, "cacheOff">): boolean =>
  cacheMs > 0 && input.kind === "raw" && !call.cacheOff;
