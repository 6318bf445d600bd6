import type { Assessment, Evaluator, Subject } from "./subject.ts";

/** What came over the bus, read as far as it can be. */
export interface Delivered {
  readonly producer: string;
  /** SHA-256 of its bytes; only what is buried needs it. */
  readonly digest: () => Uint8Array;
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

/** What could not be evaluated at all. */
export interface DeadLetter {
  readonly producer: string;
  /** Of the bytes, which the audit log keeps. */
  readonly digest: Uint8Array;
  readonly reason: string;
}

export const resultOf = (evaluator: Evaluator, subject: Subject, atMs: number): Result => ({
  ...evaluator.assess(subject),
  requestId: subject.requestId,
  workspaceId: subject.workspaceId,
  evaluator: evaluator.name,
  version: evaluator.version,
  atMs,
});
