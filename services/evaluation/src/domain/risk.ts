import type { RunResult } from "./run.ts";

export interface Risk {
  readonly ordinal: number;
  readonly record: string;
  /** 0 to 1. */
  readonly risk: number;
  /** Which says so, and why. */
  readonly evaluator: string;
  readonly findings: readonly string[];
}

/** Nobody knows. */
const UNJUDGED = 0.5;

/** How likely an answer is bad, by one result: one less its score. Undefined: it says nothing of the answer. */
function riskIn({ verdict, score }: RunResult): number | undefined {
  if (verdict === "not-evaluable") return undefined;
  return verdict === "unjudged" ? UNJUDGED : 1 - score;
}

/** Keeps the records with the highest risk: of each that of the evaluator that thinks the worst of it. Takes results in the records' order. */
export class WorstRecords {
  private readonly limit: number;
  private worst: Risk[] = [];
  private current: Risk | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }

  add(result: RunResult): void {
    if (this.current?.ordinal !== result.ordinal) this.close();
    const risk = riskIn(result);
    if (risk === undefined || risk <= (this.current?.risk ?? -1)) return;
    const { ordinal, recordId: record, evaluator, findings } = result;
    this.current = { ordinal, record, risk, evaluator, findings };
  }

  /** Worst first; of equal ones the dataset's first. */
  list(): readonly Risk[] {
    this.close();
    this.trim();
    return this.worst;
  }

  private close(): void {
    if (this.current === undefined) return;
    this.worst.push(this.current);
    this.current = undefined;
    if (this.worst.length >= 4 * this.limit) this.trim();
  }

  private trim(): void {
    this.worst = this.worst.toSorted((a, b) => b.risk - a.risk || a.ordinal - b.ordinal).slice(0, this.limit);
  }
}
