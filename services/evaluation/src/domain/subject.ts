import type { Reason } from "@weir/kernel";

/** What an evaluator is shown of a request that ended. It holds no text: payloads are sealed. */
export interface Subject {
  readonly requestId: string;
  readonly workspaceId: string;
  /** As the client named it. */
  readonly model: string;
  /** It is a call of an evaluator's own. */
  readonly ofEvaluation: boolean;
  /** 0: not known. */
  readonly endedMs: number;
  readonly ended: "succeeded" | "failed" | "cancelled" | "unknown";
  /** Why it failed; undefined where it did not, or nobody knows. */
  readonly error: Reason | undefined;
  readonly makes: "answer" | "embedding";
  readonly finish: Finish | undefined;
  /** Undefined: the provider gave no usage and none was counted. */
  readonly outputTokens: number | undefined;
  /** Time spent waiting for providers; 0: not known. */
  readonly providerMs: number;
  /** Of streams; 0: not known. */
  readonly firstTokenMs: number;
}

export type Finish = "stop" | "length" | "tool-calls" | "content-filter" | "refusal" | "pause" | "error";

/** `not-evaluable`: the record lacks what is needed. `unjudged`: it has it, and whoever was asked gave no verdict. */
export type Verdict = "pass" | "fail" | "not-evaluable" | "unjudged";

export interface Assessment {
  readonly verdict: Verdict;
  /** 0 (worst) to 1; 0 where it could not be evaluated. */
  readonly score: number;
  /** Stable words, worst first. */
  readonly findings: readonly string[];
}

/** The same subject always gets the same assessment from the same version. */
export interface Evaluator {
  readonly name: string;
  readonly version: number;
  readonly description: string;
  readonly assess: (subject: Subject) => Assessment;
}
