/** What operators do with dead letters. A letter leaves the store only when all of it was worked in, or when it is dropped. */
import { WeirError } from "@weir/kernel";
import type { DeadLetter, DeadRecord } from "../domain/dead-letter.ts";
import { idOf, pageSize, pageToken } from "../domain/page.ts";
import type { DeadLetterStore, LetterReader } from "../ports.ts";
import { evaluateAll, type EvaluateDependencies } from "./evaluate.ts";

export interface LetterPage {
  readonly letters: readonly DeadLetter[];
  /** "": there is no more. */
  readonly nextPageToken: string;
}

export interface Retried {
  readonly id: string;
  readonly result: "done" | "failed" | "gone";
  /** Why it failed; else "". */
  readonly reason: string;
}

/** All reject with WeirError overloaded while a store is away. */
export interface LetterDesk {
  /** @throws WeirError invalid_request for a token that was not given out here */
  list(page: { readonly size: number; readonly token: string }): Promise<LetterPage>;
  /** @throws WeirError not_found */
  show(id: string): Promise<{ readonly letter: DeadLetter; readonly records: readonly DeadRecord[] }>;
  /** One after the other. What was worked in before, by a first delivery or another retry, has no second effect. */
  retry(ids: readonly string[]): Promise<Retried[]>;
  /** @returns how many were there */
  drop(ids: readonly string[]): Promise<number>;
}

export interface LetterDeskDependencies {
  readonly store: DeadLetterStore;
  readonly read: LetterReader;
  readonly evaluate: EvaluateDependencies;
  readonly failureName: (error: unknown) => string;
}

export function letterDesk({ store, read, evaluate, failureName }: LetterDeskDependencies): LetterDesk {
  async function failureOf(letter: DeadLetter): Promise<string | undefined> {
    const reasons = new Set<string>();
    const bury = async ({ reason }: DeadLetter): Promise<void> => void reasons.add(reason);
    try {
      await evaluateAll(read.delivered(letter), { ...evaluate, bury, wait: away });
    } catch (error) {
      if (error instanceof WeirError) throw error;
      reasons.add(failureName(error));
    }
    return reasons.size === 0 ? undefined : [...reasons].join("; ");
  }

  async function retried(id: string): Promise<Retried> {
    const letter = await store.get(id);
    if (letter === undefined) return { id, result: "gone", reason: "" };
    const reason = await failureOf(letter);
    if (reason !== undefined) return { id, result: "failed", reason };
    await store.drop(id);
    return { id, result: "done", reason: "" };
  }

  return {
    async list({ size, token }) {
      const { letters, next } = await store.list(idOf(token) ?? 0, pageSize(size));
      return { letters, nextPageToken: next === undefined ? "" : pageToken(next) };
    },
    async show(id) {
      const letter = await store.get(id);
      if (letter === undefined) throw new WeirError("not_found", "There is no such dead letter.", { param: "id" });
      return { letter, records: read.records(letter) };
    },
    async retry(ids) {
      const results: Retried[] = [];
      for (const id of ids) results.push(await retried(id));
      return results;
    },
    async drop(ids) {
      let dropped = 0;
      for (const id of ids) if (await store.drop(id)) dropped += 1;
      return dropped;
    },
  };
}

/** An operator who waits is told, and asks again. */
const away = (): Promise<never> =>
  Promise.reject(new WeirError("overloaded", "The database of evaluation results is away."));
