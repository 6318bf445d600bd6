import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { createGauge, type Telemetry } from "@weir/telemetry";

/** In development the sources run as they are; a bundle has the worker's file beside its own. */
const ENTRY = import.meta.url.endsWith(".ts") ? "relay-worker.ts" : "relay-worker.js";
const RESTART_MS = 1_000;
/** It gives itself three seconds to ship what is there. One that hangs in something else is ended: all it had to do is on disk. */
const STOP_MS = 10_000;

/** What the thread tells about itself, now and then. */
export interface RelayState {
  readonly lagBytes: number;
  readonly unconfirmed: number;
}

/**
 * Runs the relay in a thread of its own: shipping records must not make requests wait. A thread that ends is started anew; what it had not
 * shipped is on disk.
 */
export function startRelayThread(
  { metrics, log }: Pick<Telemetry, "metrics" | "log">,
  entry = new URL(ENTRY, import.meta.url),
  stopMs = STOP_MS,
): AsyncDisposable {
  let stopping = false;
  let restart: NodeJS.Timeout | undefined;
  let state: RelayState = { lagBytes: 0, unconfirmed: 0 };
  let worker = run();
  createGauge(
    metrics,
    "weir_relay_lag_bytes",
    "Bytes in the spool that the bus does not have yet.",
    () => state.lagBytes,
  );
  createGauge(
    metrics,
    "weir_relay_unconfirmed",
    "Frames the bus has and the log has not confirmed.",
    () => state.unconfirmed,
  );

  function run(): Worker {
    const started = new Worker(entry, { name: "weir-relay" });
    started.on("error", (error) => log.error({ err: error }, "the relay failed"));
    started.on("message", (told: RelayState) => {
      state = told;
    });
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
      const exited = once(worker, "exit").then(() => "exited" as const);
      worker.postMessage("stop");
      const late = new AbortController();
      const timeout = sleep(stopMs, "late" as const, { signal: late.signal }).catch(() => "exited" as const);
      if ((await Promise.race([exited, timeout])) === "late") {
        log.warn({}, "the relay did not end in time; what it has not shipped is on disk");
        await worker.terminate();
      }
      late.abort();
    },
  };
}
