import type { DeadLetter, DeadRecord } from "./domain/dead-letter.ts";
import type { DatasetLine } from "./domain/dataset.ts";
import type { DefinedEvaluator } from "./domain/definition.ts";
import type { EvaluatorVersion, Run, RunResult } from "./domain/run.ts";
import type { Delivered, Result } from "./domain/result.ts";
import type { Evaluator } from "./domain/subject.ts";

/** Rejects with WeirError overloaded when the store is away; with any other error when it refuses what it is given. */
export interface ResultWriter {
  /** Makes evaluators known. MUST change nothing where they are. */
  register(evaluators: readonly Evaluator[]): Promise<void>;
  /** Stores all or none; passes over what is there (by request, evaluator and version). */
  save(results: readonly Result[]): Promise<void>;
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
  /** Also forgets uploads that began before `forgetMs` and were not committed. */
  startUpload(id: string, name: string, atMs: number, forgetMs: number): Promise<void>;
  /**
   * All or none; what is there with the same text is passed over. Uploads that began before `sinceMs` are as if
   * they were not there: they may be half forgotten.
   * @returns how many there are. @throws WeirError invalid_request, not_found, already_exists where it is committed
   */
  append(upload: string, first: number, lines: readonly DatasetLine[], sinceMs: number): Promise<number>;
  /** @throws WeirError invalid_request where it is empty, not_found */
  commit(upload: string, atMs: number, sinceMs: number): Promise<{ readonly digest: string; readonly records: number }>;
  /** MUST change nothing where it is. @throws WeirError not_found for the dataset */
  createRun(id: string, dataset: string, evaluators: readonly EvaluatorVersion[], atMs: number): Promise<void>;
  run(id: string): Promise<Run | undefined>;
  /** How many records of it are judged: always the first ones, each by all of its evaluators. */
  judged(run: string): Promise<number>;
  /** Lines from `ordinal` on: as many as fit a few MiB; none behind the last. */
  lines(upload: string, ordinal: number): Promise<string[]>;
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
  readonly baseline: Pick<RunResult, "verdict" | "score"> | undefined;
  readonly candidate: Pick<RunResult, "verdict" | "score"> | undefined;
}
