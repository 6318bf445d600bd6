import type { DeadLetter, DeadRecord } from "./domain/dead-letter.ts";
import type { DatasetLine } from "./domain/dataset.ts";
import type { DefinedEvaluator } from "./domain/definition.ts";
import type { ChatRequest, ChatResponse } from "@weir/dialects";
import type { Seen } from "./domain/drift/signals.ts";
import type { Sampling } from "./domain/sampling.ts";
import type { Judgment } from "./domain/judging/judgment.ts";
import type { AnswerSource, EvaluatorVersion, Run, RunResult } from "./domain/run.ts";
import type { Assessed, Delivered, Result, SampledRequest } from "./domain/result.ts";
import type { Evaluator } from "./domain/subject.ts";

/** Rejects with WeirError overloaded when the store is away; with any other error when it refuses what it is given. */
export interface ResultWriter {
  /** Makes evaluators known. MUST change nothing where they are. */
  register(evaluators: readonly Evaluator[]): Promise<void>;
  /** Stores all or none; passes over what is there (by request, evaluator and version). */
  save(assessed: readonly Assessed[]): Promise<void>;
}

/** Rejects while it is away. What is put is on disk, once, whatever is put how often. */
export interface DeadLetterStore {
  put(letters: readonly DeadLetter[]): Promise<void>;
  /** Oldest first, behind the place `after`; `next`: the place behind the last of them, undefined: there are no more. */
  list(after: number, limit: number): Promise<{ readonly letters: DeadLetter[]; readonly next: number | undefined }>;
  get(id: string): Promise<DeadLetter | undefined>;
  /** @returns whether it was there */
  drop(id: string): Promise<boolean>;
}

export interface LetterReader {
  /** What is to be evaluated of it. */
  delivered(letter: DeadLetter): Iterable<Delivered>;
  records(letter: DeadLetter): DeadRecord[];
}

export interface ResultFilter {
  /** "": any. */
  readonly requestId: string;
  readonly workspaceId: string;
  readonly evaluator: string;
}

export interface ResultReader {
  evaluators(): Promise<Pick<Evaluator, "name" | "version" | "description">[]>;
  /** Newest first; at most `limit`, only those before the id `before`. */
  list(filter: ResultFilter, before: number | undefined, limit: number): Promise<(Result & { readonly id: number })[]>;
}

/** What runs are made of. Rejects with WeirError overloaded when the store is away. */
export interface RunStore {
  /** Adds a version, or finds the one with this text. @throws WeirError already_exists for the name of a built-in evaluator */
  define(name: string, description: string, text: string, atMs: number): Promise<number>;
  /** `version` 0: the newest. */
  definition(name: string, version: number): Promise<DefinedEvaluator | undefined>;
  startUpload(id: string, name: string, source: Run["source"], atMs: number): Promise<void>;
  /** Those that began before `beforeMs` and are no dataset: not committed, or with the content of one that was there. */
  forgetUploads(beforeMs: number): Promise<void>;
  /**
   * All or none; what is there with the same text is passed over. Uploads that began before `sinceMs` are as if
   * they were not there: they may be half forgotten.
   * @returns how many there are. @throws WeirError invalid_request, not_found, already_exists where it is committed
   */
  append(upload: string, first: number, lines: readonly DatasetLine[], sinceMs: number): Promise<number>;
  /** @throws WeirError invalid_request where it is empty, not_found */
  commit(upload: string, atMs: number, sinceMs: number): Promise<{ readonly digest: string; readonly records: number }>;
  /**
   * Destroys the key of its texts at once, and then what lies under it, with the answers that were generated from them.
   * @returns when it was erased first. @throws WeirError not_found
   */
  erase(dataset: string, atMs: number): Promise<number>;
  /** MUST change nothing where it is. @throws WeirError not_found for the dataset */
  createRun(
    id: string,
    dataset: string,
    evaluators: readonly EvaluatorVersion[],
    answers: AnswerSource,
    atMs: number,
  ): Promise<void>;
  run(id: string): Promise<Run | undefined>;
  /** How many records of it are judged: always the first ones, each by all of its evaluators. */
  judged(run: string): Promise<number>;
  /** Lines from `ordinal` on, opened: `most`, or as many as fit a few MiB; none behind the last. @throws WeirError not_found where they were erased */
  lines(upload: string, ordinal: number, most: number): Promise<string[]>;
  /** By ordinal, of `count` records from `first` on. What cannot be opened any more is not there. */
  answers(run: Pick<Run, "id" | "upload">, first: number, count: number): Promise<ReadonlyMap<number, StoredAnswer>>;
  /** MUST keep what is there. @throws WeirError not_found where the dataset was erased */
  saveAnswer(run: Pick<Run, "id" | "upload">, ordinal: number, answer: StoredAnswer): Promise<void>;
  /** What was generated from records whose texts are gone. */
  forgetAnswers(upload: string, ordinals: readonly number[]): Promise<void>;
  /** Of recorded traffic. */
  replays(): Promise<Pick<Run, "id" | "upload">[]>;
  /** Records whose answers are stored, from `ordinal` on, some hundred; none behind the last. */
  generated(
    run: Pick<Run, "id" | "upload">,
    ordinal: number,
  ): Promise<{ readonly ordinal: number; readonly line: string }[]>;
  /** All or none. @returns false where one of them is there already: another process runs the same run */
  saveRun(run: string, results: readonly RunResult[]): Promise<boolean>;
  /** In the order of the records and the run's evaluators' names; from `ordinal` on, some thousand; none behind the last. */
  runResults(run: string, ordinal: number): Promise<RunResult[]>;
  endRun(run: string, resultsDigest: string, atMs: number): Promise<void>;
  /** By record id, those after `after`, some thousand. One of the two is undefined where only the other run has the record. */
  pairs(baseline: string, candidate: string, evaluator: string, after: string): Promise<Pair[]>;
}

export interface Pair {
  readonly recordId: string;
  readonly baseline: Pick<RunResult, "verdict" | "score" | "length"> | undefined;
  readonly candidate: Pick<RunResult, "verdict" | "score" | "length"> | undefined;
}

/** What a replay's model answered. */
export interface StoredAnswer {
  /** Undefined: it gave none, for `failure`. */
  readonly text: string | undefined;
  readonly failure: string | undefined;
  /** The call's id in the audit log. */
  readonly request: string;
}

/** What was said of contents, by a keyed hash of them (hex). */
export interface JudgmentStore {
  find(evaluator: EvaluatorVersion, contents: readonly string[]): Promise<ReadonlyMap<string, Judgment>>;
  /** MUST keep what is there. */
  save(evaluator: EvaluatorVersion, judged: readonly JudgedContent[], atMs: number): Promise<void>;
}

export interface JudgedContent {
  readonly content: string;
  readonly judgment: Judgment;
  /** The calls' ids in the audit log. */
  readonly requests: readonly string[];
}

export interface AskOptions {
  /** The same call never runs twice under one. */
  readonly idempotencyKey: string;
  /** NAME@VERSION, or what else it is for. */
  readonly purpose: string;
  readonly signal: AbortSignal;
}

/** Models through Weir's own front: what evaluation asks is authorized, held, recorded and charged as anybody's. Rejects with WeirError. */
export interface Models {
  /** Undefined: they can be asked. */
  readonly unusable: string | undefined;
  chat(
    request: ChatRequest,
    options: AskOptions,
  ): Promise<{ readonly response: ChatResponse; readonly requestId: string }>;
  embed(
    model: string,
    dimensions: number,
    texts: readonly string[],
    options: AskOptions,
  ): Promise<{ readonly vectors: readonly (readonly number[])[]; readonly requestId: string }>;
}

/** @throws WeirError provider_unreachable where it does not answer; invalid_request where it must not be asked */
export type AskWebhook = (
  hook: { readonly url: string; readonly secret: string; readonly timeoutMs: number },
  id: string,
  body: string,
  signal: AbortSignal,
) => Promise<unknown>;

export interface TrafficFilter {
  readonly workspaceId: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** "": any. */
  readonly model: string;
  readonly keyId: string;
  readonly ended: "succeeded" | "failed" | "cancelled";
}

export interface TrafficRecord {
  readonly requestId: string;
  /** Hex. */
  readonly leaf: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The requests that the audit log has. Rejects with WeirError. */
export interface Traffic {
  /** Undefined: it can be asked. */
  readonly unusable: string | undefined;
  /** Chats only, newest first; `next` "": there are no more. */
  list(
    filter: TrafficFilter,
    page: string,
  ): Promise<{ readonly records: readonly TrafficRecord[]; readonly next: string }>;
  read(requestId: string): Promise<RecordedTexts>;
}

export type RecordedTexts =
  | {
      readonly leaf: string;
      readonly request: ChatRequest;
      /** Undefined: there is none. */
      readonly answer: string | undefined;
    }
  /** Why there are no texts: see MissingItem. */
  | { readonly missing: string };

/** What is judged of the traffic as it comes. Rejects with WeirError overloaded when the store is away. */
export interface OnlineStore {
  /** The newest of each workspace. */
  sampling(): Promise<Sampling[]>;
  putSampling(sampling: Sampling, atMs: number): Promise<void>;
  /** Of those that are due; nobody else gets them until `untilMs`. */
  claim(most: number, nowMs: number, untilMs: number): Promise<ClaimedRequest[]>;
  /** Stores what was found and takes the request out, or nothing of it. Passes over results that are there. */
  finish(request: ClaimedRequest, found: OnlineFound): Promise<void>;
}

export interface ClaimedRequest extends SampledRequest {
  /** This one included. */
  readonly attempts: number;
}

export interface OnlineFound {
  readonly results: readonly Result[];
  /** Of length one. */
  readonly embedding: { readonly embedder: string; readonly vector: readonly number[] } | undefined;
}

export interface SignalFilter {
  /** "": any. */
  readonly workspaceId: string;
  readonly model: string;
}

export interface SignalReader {
  /** What was seen from one hour to another (exclusive), by workspace and model. */
  seen(filter: SignalFilter, fromHour: number, toHour: number): Promise<SeenModel[]>;
}

export interface SeenModel extends Seen {
  readonly workspaceId: string;
  readonly model: string;
}
