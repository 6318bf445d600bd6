import { canonicalJson } from "./canonical-json.ts";
import type { Label } from "./dataset.ts";
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
  /** Texts that were sent, or the ids of requests of the audit log. */
  readonly source: "uploaded" | "recorded";
  readonly records: number;
  readonly evaluators: readonly EvaluatorVersion[];
  readonly answers: AnswerSource;
  /** The dataset's texts were destroyed: what is stored of results stays, and nothing more can be judged. */
  readonly erased: boolean;
  /** Undefined: not finished. */
  readonly resultsDigest: string | undefined;
}

/** Whose answers are judged: the dataset's own; those a model gives now; those of another run. */
export type AnswerSource =
  | { readonly of: "dataset" }
  | { readonly of: "model"; readonly model: string }
  | { readonly of: "run"; readonly run: string };

export interface RunResult extends Assessment {
  /** Of the record in the dataset, from 0. */
  readonly ordinal: number;
  readonly recordId: string;
  readonly evaluator: string;
  readonly version: number;
  /** In characters; undefined: there is no answer. */
  readonly length: number | undefined;
  /** Of what it was judged beside. */
  readonly baselineLength: number | undefined;
  readonly label: Label | undefined;
}

/** Names neither the run nor a time, so that two runs of the same versions over the same records have the same lines. */
export const resultLine = ({ recordId, evaluator, version, verdict, score, findings }: RunResult): string =>
  `${canonicalJson({ record: recordId, evaluator, version, verdict, score, findings: [...findings] })}\n`;
