import type { KeptAnswer, QuestionSpace } from "../ports.ts";
import { sealedAnswer } from "./kept-answer.ts";

/** Runs one statement. Its search path has schema `router`, and whatever pgvector is in. */
export type Rows = <Row>(text: string, values: readonly unknown[]) => Promise<readonly Row[]>;

/** What is above the scope's number goes in the same statement, which does not see what it adds itself. */
const put = (column: "vector" | "embedding"): string => `
  with added as (
    insert into semantic_answer (scope, space, ${column}, sealed, made_ms, until_ms) values ($1, $2, $3, $4, $5, $6)
  ), gone as (
    delete from semantic_answer
    where id in (select id from semantic_answer where scope = $1 order by id desc offset $7)
    returning id
  )
  select count(*)::int as evicted from gone`;

const PUT = { vector: put("vector"), embedding: put("embedding") };

/** @returns how many had to go */
export async function putAnswer(
  rows: Rows,
  column: keyof typeof PUT,
  { scope, name, secret }: QuestionSpace,
  vector: unknown,
  answer: KeptAnswer,
  { untilMs, mostEntries }: { readonly untilMs: number; readonly mostEntries: number },
): Promise<number> {
  const [done] = await rows<{ readonly evicted: number }>(PUT[column], [
    scope,
    name,
    vector,
    sealedAnswer(answer, secret),
    Math.round(answer.atMs),
    Math.round(untilMs),
    Math.max(0, mostEntries - 1),
  ]);
  return done?.evicted ?? 0;
}

/** What is over is not given any more, and is gone when this is called. */
export async function sweepAnswers(rows: Rows, nowMs: number): Promise<void> {
  await rows("delete from semantic_answer where until_ms <= $1", [Math.round(nowMs)]);
}

/** What both adapters do with a store that does not answer: nothing, for a while, so that requests do not wait for it one after the other. */
export class Patience {
  readonly #nowMs: () => number;
  readonly #onError: (error: unknown) => void;
  #awayUntilMs = 0;

  constructor(nowMs: () => number, onError: (error: unknown) => void) {
    this.#nowMs = nowMs;
    this.#onError = onError;
  }

  /** @returns undefined where it failed, or failed lately */
  async try<T>(ask: () => Promise<T>): Promise<T | undefined> {
    if (this.#nowMs() < this.#awayUntilMs) return undefined;
    try {
      return await ask();
    } catch (error) {
      this.#awayUntilMs = this.#nowMs() + AWAY_MS;
      this.#onError(error);
      return undefined;
    }
  }
}

const AWAY_MS = 1_000;
