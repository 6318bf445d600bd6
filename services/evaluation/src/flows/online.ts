/**
 * Judges a share of the traffic as it comes. What is chosen waits in the store until its texts are in the log; it is judged once, and what cannot be
 * judged after several tries says so. Nothing of it is on a request's path.
 */
import { WeirError } from "@weir/kernel";
import type { DefinedEvaluator } from "../domain/definition.ts";
import type { Item } from "../domain/item.ts";
import type { Result, SampledRequest } from "../domain/result.ts";
import { isSampled, type Sampling } from "../domain/sampling.ts";
import type { Assessment, Subject } from "../domain/subject.ts";
import type { ClaimedRequest, OnlineFound, OnlineStore } from "../ports.ts";
import { isContentAtFault } from "./asking.ts";
import { someAtOnce } from "./at-once.ts";
import { pageEvaluator } from "./evaluators.ts";
import { textsItem } from "./items.ts";
import type { JudgeDependencies } from "./judge.ts";
import { definedEvaluator } from "./runs.ts";

const AT_ONCE = 4;
const MOST_CLAIMED = 32;
const MOST_ATTEMPTS = 8;
/** Longer than judging takes: nobody else tries meanwhile. Also how long a failed one waits. */
const CLAIM_MS = 300_000;
/** The log has a request's texts a little later than the bus its record. */
const SOON_MS = 2_000;
const KNOWN_FOR_MS = 5_000;

export interface OnlineDependencies extends JudgeDependencies {
  readonly online: OnlineStore;
  readonly hash32: (text: string) => number;
  readonly monotonicMs: () => number;
  readonly events: { readonly gaveUp: (request: SampledRequest, error: unknown) => void };
}

/** Which answers are judged. Sampling that was put counts within seconds. */
export class Samples {
  private readonly deps: Pick<OnlineDependencies, "online" | "hash32" | "monotonicMs">;
  private known: ReadonlyMap<string, Sampling> = new Map();
  private untilMs = 0;

  constructor(deps: Pick<OnlineDependencies, "online" | "hash32" | "monotonicMs">) {
    this.deps = deps;
  }

  async refresh(): Promise<void> {
    const nowMs = this.deps.monotonicMs();
    if (nowMs < this.untilMs) return;
    const all = await this.deps.online.sampling();
    this.known = new Map(all.filter(({ share }) => share > 0).map((one) => [one.workspaceId, one]));
    this.untilMs = nowMs + KNOWN_FOR_MS;
  }

  of(workspaceId: string): Sampling | undefined {
    return this.known.get(workspaceId);
  }

  get any(): boolean {
    return this.known.size > 0;
  }

  sampled(subject: Subject): SampledRequest | undefined {
    const { requestId, workspaceId, model, endedMs, ended, makes, ofEvaluation } = subject;
    const sampling = this.known.get(workspaceId);
    // What evaluation asks itself would be judged for ever.
    if (sampling === undefined || ended !== "succeeded" || makes !== "answer" || ofEvaluation) return undefined;
    if (!isSampled(this.deps.hash32(requestId), sampling.share)) return undefined;
    return { requestId, workspaceId, model, endedMs };
  }
}

/** Judges what is due. @returns how many there were */
export async function judgeSampled(samples: Samples, signal: AbortSignal, deps: OnlineDependencies): Promise<number> {
  const nowMs = deps.nowMs();
  const claimed = await deps.online.claim(MOST_CLAIMED, nowMs - SOON_MS, nowMs + CLAIM_MS);
  await someAtOnce(claimed, AT_ONCE, async (request) => {
    const sampling = samples.of(request.workspaceId);
    const found = sampling === undefined ? NOTHING : await foundIn(request, sampling, signal, deps);
    if (found !== undefined) await deps.online.finish(request, found);
  });
  return claimed.length;
}

const NOTHING: OnlineFound = { results: [], embedding: undefined };

/** @returns undefined: it is to be tried again, when the claim has run out */
async function foundIn(
  request: ClaimedRequest,
  { evaluators, embeddingModel }: Sampling,
  signal: AbortSignal,
  deps: OnlineDependencies,
): Promise<OnlineFound | undefined> {
  const last = request.attempts >= MOST_ATTEMPTS;
  const defined: DefinedEvaluator[] = [];
  for (const one of evaluators) defined.push(await definedEvaluator(one, deps.store));
  const resultsOf = (assessments: readonly Assessment[]): Result[] =>
    defined.map(({ name, version }, at) => {
      const assessment = assessments[at] ?? assessments[0];
      if (assessment === undefined) throw new Error("an evaluator gave nothing");
      const { requestId, workspaceId } = request;
      return { ...assessment, requestId, workspaceId, evaluator: name, version, atMs: deps.nowMs() };
    });
  try {
    const item = await textsItem(request.requestId, deps.traffic);
    if (!last && "missing" in item && item.missing === "not-in-the-log") return undefined;
    const assessments: Assessment[] = [];
    for (const one of defined) assessments.push(await judged(one, item, signal, deps));
    return {
      results: resultsOf(assessments),
      embedding: await embeddingOf(request, item, embeddingModel, signal, deps),
    };
  } catch (error) {
    if (signal.aborted || !last) {
      if (error instanceof WeirError) return undefined;
      throw error;
    }
    deps.events.gaveUp(request, error);
    const reason = error instanceof WeirError ? error.reason : "internal";
    return {
      results: resultsOf(defined.map(() => ({ verdict: "unjudged", score: 0, findings: [`gave-up:${reason}`] }))),
      embedding: undefined,
    };
  }
}

async function judged(
  defined: DefinedEvaluator,
  item: Item,
  signal: AbortSignal,
  deps: OnlineDependencies,
): Promise<Assessment> {
  const [assessment] = await pageEvaluator(defined, deps).judge([item], signal);
  if (assessment === undefined) throw new Error("an evaluator gave nothing");
  return assessment;
}

async function embeddingOf(
  { requestId }: ClaimedRequest,
  item: Item,
  model: string,
  signal: AbortSignal,
  { models }: OnlineDependencies,
): Promise<OnlineFound["embedding"]> {
  if (model === "" || "missing" in item || (item.record.answer ?? "").trim() === "") return undefined;
  try {
    const options = { idempotencyKey: `drift-${requestId}`, purpose: "drift", signal };
    const { vectors } = await models.embed(model, 0, [item.record.answer ?? ""], options);
    const [vector = []] = vectors;
    const length = Math.hypot(...vector);
    return length > 0 ? { embedder: model, vector: vector.map((value) => value / length) } : undefined;
  } catch (error) {
    if (isContentAtFault(error)) return undefined;
    throw error;
  }
}

/** @throws WeirError where they cannot judge as they come */
export async function checkedSampling(sampling: Sampling, deps: JudgeDependencies): Promise<Sampling> {
  const versions = [];
  for (const wanted of sampling.evaluators) {
    const found = await definedEvaluator(wanted, deps.store);
    pageEvaluator(found, deps);
    versions.push({ name: found.name, version: found.version });
  }
  if (deps.traffic.unusable !== undefined) throw new WeirError("invalid_request", deps.traffic.unusable);
  if (sampling.embeddingModel !== "" && deps.models.unusable !== undefined)
    throw new WeirError("invalid_request", deps.models.unusable);
  return { ...sampling, evaluators: versions };
}
