import { createHash, randomBytes } from "node:crypto";
import { setImmediate as pause, setTimeout as sleep } from "node:timers/promises";
import { deadLetter, failureName } from "@weir/events";
import { systemClock, uuidv7 } from "@weir/kernel";
import type { Service } from "@weir/mesh";
import { ensureRole, heartbeat, migrate, openPool, retryWhileAway } from "@weir/storage";
import { deadLetterStore } from "./adapters/dead-letter-store.ts";
import { compileSchema } from "./adapters/json-schema.ts";
import { CONSUMER, readDeadRecords, readOutcomes } from "./adapters/outcome-reader.ts";
import { postgresResultReader, postgresResultWriter } from "./adapters/postgres-results.ts";
import { postgresRuns } from "./adapters/postgres-runs.ts";
import type { EvaluationOptions } from "./config.ts";
import { answerHealth } from "./domain/answer-health.ts";
import type { DeadLetter } from "./domain/dead-letter.ts";
import { evaluationEvents } from "./events.ts";
import { resultBrowser } from "./flows/browse.ts";
import { compareRuns } from "./flows/compare.ts";
import { letterDesk } from "./flows/dead-letters.ts";
import { evaluateAll } from "./flows/evaluate.ts";
import { createRuns } from "./flows/runs.ts";
import { evaluationRoutes } from "./rpc/routes.ts";

const ROLE = "weir_evaluation";
const EVALUATORS = [answerHealth];
/** A start that takes longer goes on in the background: the database may be away for hours, and the process must be able to say so. */
const START_MS = 3_000;
const HEARTBEAT_MS = 1_000;
/** A batch that fails this often (by a defect: outages and bad records are dealt with) becomes a dead letter as a whole. */
const MAX_DELIVERIES = 20;

/** Works in the background: no request waits for it or notices that it is away. */
export async function createEvaluation(options: EvaluationOptions): Promise<Service> {
  const { config, telemetry, database, bus, deadLetters, clock = systemClock } = options;
  const events = evaluationEvents(telemetry);
  const pool = openPool(database, {
    role: ROLE,
    applicationName: "weir-evaluation",
    // Every query reads along an index. Of a table that has just been filled the planner knows nothing, and would read and sort all of it
    // for each page.
    settings: { search_path: "evaluation, pg_temp", enable_seqscan: "off", enable_bitmapscan: "off" },
    onError: (error) => telemetry.log.debug({ err: error }, "a database connection broke"),
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const results = postgresResultWriter(pool);
  const bury = async (letter: DeadLetter, cause: unknown): Promise<void> => {
    await deadLetters.put([letter]);
    events.buried(letter, cause);
  };
  const evaluate = {
    evaluators: EVALUATORS,
    results,
    bury,
    events,
    nowMs: () => clock.nowMs(),
    wait: (ms: number) => sleep(ms, undefined, { signal }),
  };
  const store = postgresRuns(pool);
  const runs = createRuns({
    store,
    nowMs: evaluate.nowMs,
    newId: (nowMs) => uuidv7(nowMs, randomBytes(10)),
    sha256,
    compileSchema,
  });
  const prepare = async (): Promise<void> => {
    await ensureRole(database, ROLE);
    await migrate(database, {
      schema: "evaluation",
      directory: new URL("../migrations/evaluation/", import.meta.url),
      lockName: "weir.evaluation.migrate",
    });
    await results.register(EVALUATORS);
  };

  let beating: Promise<void> | undefined;
  let subscribed: Promise<AsyncDisposable | undefined> | undefined;
  const subscribe = async (): Promise<AsyncDisposable | undefined> => {
    await retryWhileAway(prepare, { signal, onAway: events.gone });
    beating = heartbeat(pool, { everyMs: HEARTBEAT_MS, signal, onUp: events.back, onDown: events.gone });
    return bus?.subscribe(CONSUMER, (batches) => evaluateAll(readOutcomes(batches), evaluate), {
      giveUp: {
        after: MAX_DELIVERIES,
        putAside(batch, error) {
          const reason = `it failed ${MAX_DELIVERIES} times (${failureName(error)})`;
          return bury(deadLetter(CONSUMER, batch, reason, clock.nowMs()), error);
        },
      },
    });
  };

  return {
    name: "evaluation",
    routes: evaluationRoutes(
      {
        results: resultBrowser(postgresResultReader(pool)),
        runs,
        compare: (question) => compareRuns(question, { store, pause }),
        letters: letterDesk({
          store: deadLetterStore(deadLetters),
          read: { delivered: (letter) => readOutcomes([letter]), records: ({ data }) => readDeadRecords(data) },
          evaluate,
          failureName,
        }),
      },
      config.adminToken,
    ),
    async start() {
      subscribed = subscribe();
      // What fails later than START_MS has no other place to be told.
      subscribed.catch((error: unknown) => {
        if (!signal.aborted) events.failed(error);
      });
      await Promise.race([subscribed, sleep(START_MS, undefined, { ref: false })]);
    },
    notReady: () => events.away,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      // A start that failed was reported there.
      const subscription = await subscribed?.catch(() => undefined);
      await subscription?.[Symbol.asyncDispose]();
      await beating;
      await pool.end();
    },
  };
}

function sha256() {
  const hash = createHash("sha256");
  return { update: (text: string): void => void hash.update(text), hex: () => hash.digest("hex") };
}
