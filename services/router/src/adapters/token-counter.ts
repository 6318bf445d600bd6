import { Worker } from "node:worker_threads";
import type { Target } from "../domain/target.ts";
import type { TokenCounter } from "../ports.ts";
import type { Counted, CountTask } from "./token-worker.ts";

/** In development the sources run as they are; a bundle has the worker's file beside its own. */
const ENTRY = import.meta.url.endsWith(".ts") ? "token-worker.ts" : "token-worker.js";
/** About a third of a second. */
const LONGEST = 4_000_000;
/** What may wait, in characters: more would wait for longer than its request. */
const MOST_WAITING = 16_000_000;

interface Waiting {
  readonly resolve: (tokens: number | undefined) => void;
  readonly size: number;
}

/**
 * Counts tokens with OpenAI's vocabularies for its models, in a thread that starts with the first count: nobody who serves requests ever
 * loads one. Failure policy: what cannot be counted (another vocabulary, too long, too many before it, a thread that failed) is
 * undefined, and its bytes bound it.
 */
export function tokenCounter(onError: (error: unknown) => void): TokenCounter & AsyncDisposable {
  let worker: Worker | undefined;
  let next = 0;
  let size = 0;
  const waiting = new Map<number, Waiting>();

  function finish(id: number, tokens: number | undefined): void {
    const one = waiting.get(id);
    if (one === undefined) return;
    waiting.delete(id);
    size -= one.size;
    one.resolve(tokens);
  }

  function start(): Worker {
    const started = new Worker(new URL(ENTRY, import.meta.url), { name: "weir-tokens" });
    started.unref();
    started.on("message", ({ id, tokens }: Counted) => finish(id, tokens));
    started.once("error", onError);
    started.once("exit", () => {
      if (worker === started) worker = undefined;
      for (const id of waiting.keys()) finish(id, undefined);
    });
    return started;
  }

  return {
    get started() {
      return worker !== undefined;
    },
    count({ vocabulary }: Target, texts): Promise<number | undefined> {
      if (vocabulary === undefined) return NOT_COUNTED;
      let length = 0;
      for (const text of texts) length += text.length;
      if (length > LONGEST || size + length > MOST_WAITING) return NOT_COUNTED;
      worker ??= start();
      const task: CountTask = { id: (next += 1), vocabulary, texts };
      size += length;
      return new Promise((resolve) => {
        waiting.set(task.id, { resolve, size: length });
        worker?.postMessage(task);
      });
    },
    async [Symbol.asyncDispose]() {
      await worker?.terminate();
    },
  };
}

const NOT_COUNTED = Promise.resolve(undefined);
