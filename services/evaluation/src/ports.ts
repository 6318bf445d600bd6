import type { DeadLetter, Result } from "./domain/result.ts";
import type { Evaluator } from "./domain/subject.ts";

/** Rejects with WeirError overloaded when the store is away; with any other error when it refuses what it is given. */
export interface ResultWriter {
  /** Makes evaluators known. MUST change nothing where they are. */
  register(evaluators: readonly Evaluator[]): Promise<void>;
  /** Stores all or none; passes over what is there (by request, evaluator and version). */
  save(results: readonly Result[]): Promise<void>;
  bury(letters: readonly DeadLetter[], atMs: number): Promise<void>;
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
