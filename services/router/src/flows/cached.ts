import { nanos } from "@weir/kernel";
import type { Attempt, CacheUse, CallResult, RawAnswer } from "../domain/call.ts";
import type { CacheEvents, KeptAnswer } from "../ports.ts";
import type { AnswerFlights, Wanted } from "./answer-flights.ts";
import { lookedFor, NOT_LOOKED, type SemanticCaching } from "./semantic.ts";
import type { Shown } from "./stream-side.ts";
import type { StreamMessage } from "./stream.ts";

/** How a request uses the cache. */
export interface Caching extends Wanted {
  /** The name that the client used. */
  readonly model: string;
  readonly flights: AnswerFlights;
  readonly events: CacheEvents;
  readonly nowMs: () => number;
  /** Undefined: equal requests only. */
  readonly semantic?: SemanticCaching | undefined;
}

/** Larger ones are not kept. */
const MAX_KEPT_BYTES = 1 << 20;
const NOTHING = new Uint8Array(0);

interface Whole<Output> {
  readonly result: CallResult;
  readonly output: Output;
}
type RawOutput = { readonly kind: "raw"; readonly answer: RawAnswer };

/** What came of looking: an answer, or that a provider has to be called. */
interface Found {
  /** What the result says. */
  readonly use: CacheUse;
  readonly answer: KeptAnswer | undefined;
  /** What looking cost. */
  readonly attempts: readonly Attempt[];
  /** Whom others wait for tells them once; undefined: nothing that they may have. */
  readonly landed: (answer: KeptAnswer | undefined) => void;
  /** Keeps what a provider answered. */
  readonly keep: (answer: KeptAnswer) => void;
}

/** @throws WeirError client_closed for who leaves while it waits for another one's answer */
async function lookInto(caching: Caching, signal: AbortSignal): Promise<Found> {
  const { flights, events, semantic, control, model, nowMs } = caching;
  const found = (use: CacheUse, rest: Omit<Found, "use">): Found => {
    events.used(model, use);
    return { use, ...rest };
  };
  const entry = await flights.enter(caching, signal);
  if (entry.kind === "hit")
    return found(hitOf(entry.answer, nowMs()), {
      answer: entry.answer,
      attempts: [],
      landed: () => undefined,
      keep: () => undefined,
    });
  const { landed, outcome } = entry;
  let looked = NOT_LOOKED;
  try {
    if (semantic !== undefined && control.write) looked = await lookedFor(semantic, control, nowMs(), signal);
  } catch (error) {
    landed(undefined);
    throw error;
  }
  const { answer, attempts, similarity, keep } = looked;
  if (answer !== undefined) return found(hitOf(answer, nowMs()), { answer, attempts, landed, keep: () => undefined });
  return found({ outcome, ageMs: 0, savedNanos: nanos(0n), similarity }, { answer, attempts, landed, keep });
}

function hitOf({ atMs, costNanos, similarity }: KeptAnswer, nowMs: number): CacheUse {
  return {
    outcome: similarity === undefined ? "hit" : "semantic-hit",
    ageMs: Math.max(0, nowMs - atMs),
    savedNanos: nanos(costNanos),
    similarity: similarity ?? 0,
  };
}

/** With what looking cost: it came first. */
const accounted = (result: CallResult, { use, attempts }: Found): CallResult => ({
  ...result,
  cache: use,
  attempts: attempts.length === 0 ? result.attempts : [...attempts, ...result.attempts],
  providerUs: result.providerUs + spentOn(attempts),
});

const spentOn = (attempts: readonly Attempt[]): number => attempts.reduce((sum, { durationUs }) => sum + durationUs, 0);

/** @param run calls a provider */
export async function completeCached<Output extends { readonly kind: string }>(
  caching: Caching,
  signal: AbortSignal,
  run: () => Promise<Whole<Output | RawOutput>>,
): Promise<Whole<Output | RawOutput>> {
  const found = await lookInto(caching, signal);
  let kept = found.answer;
  try {
    if (kept !== undefined) {
      const { status, contentType, body } = kept;
      return { result: hitResult(kept, found), output: { kind: "raw", answer: { status, contentType, body } } };
    }
    const { result, output } = await run();
    kept = output.kind === "raw" ? keptWhole(result, (output as RawOutput).answer, caching.nowMs()) : undefined;
    if (kept !== undefined) found.keep(kept);
    return { result: accounted(result, found), output };
  } finally {
    found.landed(kept);
  }
}

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

function hitResult(kept: KeptAnswer, { use, attempts }: Found): CallResult {
  return {
    served: { ...kept.served, attempt: 0 },
    usage: kept.usage,
    finishReason: kept.finishReason,
    attempts,
    error: undefined,
    dropped: kept.dropped,
    headers: [],
    providerUs: spentOn(attempts),
    firstTokenUs: 0,
    priceVersion: kept.priceVersion,
    cache: use,
  };
}

/** @param run calls a provider */
export async function* streamCached(
  caching: Caching,
  signal: AbortSignal,
  run: () => AsyncGenerator<StreamMessage, void, undefined>,
): AsyncGenerator<StreamMessage, void, undefined> {
  const found = await lookInto(caching, signal);
  let kept = found.answer;
  if (kept !== undefined) {
    found.landed(kept);
    return yield* replayed(kept, found);
  }
  const frames: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const message of run()) {
      if (message.kind === "shown" && bytes <= MAX_KEPT_BYTES) {
        for (const one of message.shown) bytes += collect(frames, one);
      }
      if (message.kind === "start")
        yield { ...message, cache: found.use, failures: [...found.attempts, ...message.failures] };
      else if (message.kind === "end") {
        if (message.failure === undefined && message.result.error === undefined && bytes <= MAX_KEPT_BYTES) {
          kept = keptOf(message.result, caching.nowMs(), {
            status: 200,
            contentType: "text/event-stream",
            body: Buffer.concat(frames),
            terminal: message.terminal,
            outputBytes: message.outputBytes,
          });
          if (kept !== undefined) found.keep(kept);
        }
        yield { ...message, result: accounted(message.result, found) };
      } else yield message;
    }
  } finally {
    found.landed(kept);
  }
}

/** @returns how many bytes it has; of typed events, which are not kept, too many */
function collect(frames: Uint8Array[], shown: Shown): number {
  if (shown.kind !== "frame") return MAX_KEPT_BYTES + 1;
  frames.push(shown.bytes);
  return shown.bytes.length;
}

function* replayed(kept: KeptAnswer, found: Found): Generator<StreamMessage, void, undefined> {
  const result = hitResult(kept, found);
  const { served, cache } = result;
  if (served === undefined) return;
  const { outputBytes, terminal, dropped } = kept;
  yield {
    kind: "start",
    served,
    dropped,
    price: undefined,
    inputTokensEstimate: 0,
    failures: found.attempts,
    outputBytes: 0,
    headers: [],
    cache,
  };
  yield { kind: "shown", shown: [{ kind: "frame", bytes: kept.body }], outputBytes };
  yield { kind: "end", result, terminal, failure: undefined, outputBytes };
}
