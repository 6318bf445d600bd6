import { canonicalJson } from "./canonical-json.ts";
import type { Assessment } from "./subject.ts";

export interface EvaluatorVersion {
  readonly name: string;
  readonly version: number;
}

/** Versions judging a snapshot: what it finds is settled before it begins. */
export interface Run {
  readonly id: string;
  /** The snapshot's records are kept under this. */
  readonly upload: string;
  readonly records: number;
  readonly evaluators: readonly EvaluatorVersion[];
  /** Undefined: not finished. */
  readonly resultsDigest: string | undefined;
}

export interface RunResult extends Assessment {
  /** Of the record in the dataset, from 0. */
  readonly ordinal: number;
  readonly recordId: string;
  readonly evaluator: string;
  readonly version: number;
}

/** Names neither the run nor a time, so that two runs of the same versions over the same records have the same lines. */
export const resultLine = ({ recordId, evaluator, version, verdict, score, findings }: RunResult): string =>
  `${canonicalJson({ record: recordId, evaluator, version, verdict, score, findings: [...findings] })}\n`;
