import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { BackgroundData, FromBackground, ToBackground } from "./background-messages.ts";

export interface BackgroundThread extends AsyncDisposable {
  /** Its metrics as JSON; empty when it does not answer in a second. */
  metrics(): Promise<readonly object[]>;
}

export interface BackgroundHooks {
  readonly line: (line: string) => void;
  readonly died: (error: unknown) => void;
}

/** In development the sources run as they are; a bundle has the thread's file beside its own. */
const ENTRY = import.meta.url.endsWith(".ts") ? "background.ts" : "background.js";
const STOP_MS = 15_000;
const METRICS_MS = 1_000;

/** Resolves when it works. When it dies, another takes its place: the spool keeps what the dead one had not shipped. */
export async function startBackground(data: BackgroundData, hooks: BackgroundHooks): Promise<BackgroundThread> {
  let stopping = false;
  let asked = 0;
  const waiting = new Map<number, (metrics: readonly object[]) => void>();

  async function launch(): Promise<Worker> {
    const worker = new Worker(new URL(ENTRY, import.meta.url), { name: "weir-background", workerData: data });
    await new Promise<void>((resolve, reject) => {
      worker.on("message", (message: FromBackground) => {
        if (message.type === "line") hooks.line(message.line);
        else if (message.type === "metrics") waiting.get(message.id)?.(message.metrics);
        else resolve();
      });
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the background thread ended with ${code}`)));
    });
    worker.once("error", hooks.died);
    worker.once("exit", () => {
      if (!stopping) restarting = again();
    });
    return worker;
  }

  async function again(): Promise<void> {
    for (let waitMs = 200; !stopping; waitMs = Math.min(waitMs * 2, 10_000)) {
      await sleep(waitMs, undefined, { ref: false });
      try {
        if (!stopping) current = await launch();
        return;
      } catch (error) {
        hooks.died(error);
      }
    }
  }

  let restarting = Promise.resolve();
  let current = await launch();
  const tell = (message: ToBackground): void => current.postMessage(message);
  return {
    async metrics() {
      const id = ++asked;
      const answer = new Promise<readonly object[]>((resolve) => waiting.set(id, resolve));
      tell({ type: "metrics", id });
      const metrics = await Promise.race([answer, sleep(METRICS_MS, [], { ref: false })]);
      waiting.delete(id);
      return metrics;
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      await restarting;
      if (current.threadId === -1) return; // it is dead
      const exited = once(current, "exit");
      tell({ type: "stop" });
      await Promise.race([exited, sleep(STOP_MS, undefined, { ref: false })]);
      await current.terminate();
    },
  };
}
