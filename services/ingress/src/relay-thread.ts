import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** In development the sources run as they are; a bundle has the worker's file beside its own. */
const ENTRY = import.meta.url.endsWith(".ts") ? "relay-worker.ts" : "relay-worker.js";
const RESTART_MS = 1_000;

/**
 * Runs the relay in a thread of its own: shipping records must not make requests wait. A thread that ends is started anew; what it had not
 * shipped is on disk.
 */
export function startRelayThread(onError: (error: unknown) => void): AsyncDisposable {
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;
  let worker = run();

  function run(): Worker {
    const started = new Worker(new URL(ENTRY, import.meta.url), { name: "weir-relay" });
    started.on("error", onError);
    started.once("exit", () => {
      if (stopping) return;
      restart = setTimeout(() => {
        worker = run();
      }, RESTART_MS);
    });
    return started;
  }

  return {
    /** Lets it ship what is there, for a few seconds. */
    async [Symbol.asyncDispose]() {
      stopping = true;
      clearTimeout(restart);
      if (worker.threadId === -1) return;
      const exited = once(worker, "exit");
      worker.postMessage("stop");
      await exited;
    },
  };
}
