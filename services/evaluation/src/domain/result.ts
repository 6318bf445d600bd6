import type { DeadLetter } from "./dead-letter.ts";
import type { Assessment, Evaluator, Subject } from "./subject.ts";

/** What came over the bus, read as far as it can be. */
export interface Delivered {
  /** The record as it came; only what is buried needs it. */
  readonly letter: (reason: string, atMs: number) => DeadLetter;
  /** Undefined: it cannot be evaluated, for `reason`. */
  readonly subject: Subject | undefined;
  readonly reason: string;
}

/** An assessment with what it belongs to; as it is stored, and never changed. */
export interface Result extends Assessment {
  readonly requestId: string;
  readonly workspaceId: string;
  readonly evaluator: string;
  readonly version: number;
  readonly atMs: number;
}

export const resultOf = (evaluator: Evaluator, subject: Subject, atMs: number): Result => ({
  ...evaluator.assess(subject),
  requestId: subject.requestId,
  workspaceId: subject.workspaceId,
  evaluator: evaluator.name,
  version: evaluator.version,
  atMs,
});
