import { createHash, hash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { setImmediate as pause, setTimeout as sleep } from "node:timers/promises";
import { type BatchHandler, deadLetter, failureName } from "@weir/events";
import { systemClock, uuidv7 } from "@weir/kernel";
import type { Service } from "@weir/mesh";
import { keptSecret } from "@weir/sealing";
import { ensureRole, heartbeat, migrate, openPool, retryWhileAway } from "@weir/storage";
import { auditTraffic, noTraffic } from "./adapters/audit-traffic.ts";
import { deadLetterStore } from "./adapters/dead-letter-store.ts";
import { gatewayModels, noModels } from "./adapters/gateway-models.ts";
import { compileSchema } from "./adapters/json-schema.ts";
import { CONSUMER, readDeadRecords, readOutcomes } from "./adapters/outcome-reader.ts";
import { postgresJudgments } from "./adapters/postgres-judgments.ts";
import { postgresOnline } from "./adapters/postgres-online.ts";
import { postgresResultReader, postgresResultWriter } from "./adapters/postgres-results.ts";
import { postgresRuns } from "./adapters/postgres-runs.ts";
import { postgresSignals } from "./adapters/postgres-signals.ts";
import { textKeys, type TextKeys } from "./adapters/sealed-texts.ts";
import { webhookAsk } from "./adapters/webhook-ask.ts";
import type { EvaluationOptions } from "./config.ts";
import { answerHealth } from "./domain/answer-health.ts";
import type { DeadLetter } from "./domain/dead-letter.ts";
import { evaluationEvents } from "./events.ts";
import { resultBrowser } from "./flows/browse.ts";
import { compareRuns } from "./flows/compare.ts";
import { letterDesk } from "./flows/dead-letters.ts";
import { type DriftQuestion, findDrift } from "./flows/drift.ts";
import { evaluateAll } from "./flows/evaluate.ts";
import { keepDoing } from "./flows/keep-doing.ts";
import { checkedSampling, judgeSampled, Samples } from "./flows/online.ts";
import { createRuns, UPLOAD_MS } from "./flows/runs.ts";
import { snapshotTraffic } from "./flows/snapshot.ts";
import { sweepErased } from "./flows/sweep.ts";
import { evaluationRoutes } from "./rpc/routes.ts";

const ROLE = "weir_evaluation";
const EVALUATORS = [answerHealth];
/** Between two looks for sampled answers that are due. */
const SAMPLES_EVERY_MS = 2_000;
const HOUR_MS = 3_600_000;
/** Between two sweeps for what was made of erased requests, and before the first: not while everything starts. */
const SWEEP_EVERY_MS = 6 * HOUR_MS;
const FIRST_SWEEP_MS = 600_000;
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
  const nowMs = (): number => clock.nowMs();
  const online = postgresOnline(pool);
  const samples = new Samples({ online, hash32, monotonicMs: () => clock.monotonicMs() });
  const evaluate = {
    evaluators: EVALUATORS,
    results,
    sampled: samples.sampled.bind(samples),
    bury,
    events,
    nowMs,
    wait: (ms: number) => sleep(ms, undefined, { signal }),
  };
  const keys = keptKeys(config);
  const store = postgresRuns(pool, keys);
  const judging = {
    store,
    judgments: postgresJudgments(pool),
    models: modelsOf(options),
    traffic: trafficOf(options),
    askWebhook: webhookAsk({
      internal: new Set(config.webhooks.internalOrigins),
      secrets: config.evaluation.secrets,
      nowMs,
    }),
    keyed: (name: string) => keys.keyed(name),
    compileSchema,
    sha256,
    hash32,
    newId: (atMs: number) => uuidv7(atMs, randomBytes(10)),
    nowMs,
    wait: (ms: number, until: AbortSignal) => sleep(ms, undefined, { signal: AbortSignal.any([until, signal]) }),
  };
  const runs = createRuns(judging);
  const onlineWork = { ...judging, online, monotonicMs: () => clock.monotonicMs(), events };
  const signals = postgresSignals(pool);
  const { drift } = config.evaluation;
  const prepare = async (): Promise<void> => {
    await ensureRole(database, ROLE);
    await migrate(database, {
      schema: "evaluation",
      directory: new URL("../migrations/evaluation/", import.meta.url),
      lockName: "weir.evaluation.migrate",
    });
    await results.register(EVALUATORS);
  };

  /** Where records come, drift is looked for; where others can be asked, samples are judged. */
  const backgroundWork = (): Promise<void>[] => {
    const how = { wait: evaluate.wait, signal, onError: events.stumbled };
    const look = async (): Promise<number> => {
      const [windowHours, referenceHours] = [drift.windowMs, drift.referenceMs].map((ms) => Math.floor(ms / HOUR_MS));
      const question: DriftQuestion = {
        workspaceId: "",
        model: "",
        toMs: nowMs(),
        windowHours: windowHours ?? 0,
        referenceHours: referenceHours ?? 0,
        alpha: drift.alpha,
      };
      events.looked(await findDrift(question, signals));
      return drift.everyMs;
    };
    const judge = async (): Promise<number> => {
      await samples.refresh();
      const judged = samples.any ? await judgeSampled(samples, signal, onlineWork) : 0;
      return judged > 0 ? 0 : SAMPLES_EVERY_MS;
    };
    let waited = false;
    const sweep = async (): Promise<number> => {
      const first = !waited;
      waited = true;
      if (!first) await sweepErased(signal, judging);
      return first ? FIRST_SWEEP_MS : SWEEP_EVERY_MS;
    };
    const forget = async (): Promise<number> => {
      await store.forgetUploads(nowMs() - 2 * UPLOAD_MS);
      return HOUR_MS;
    };
    return [
      keepDoing(forget, how),
      ...(judging.traffic.unusable === undefined ? [keepDoing(sweep, how)] : []),
      ...(bus === undefined || drift.alpha === 0 ? [] : [keepDoing(look, how)]),
      ...(options.peers === undefined ? [] : [keepDoing(judge, how)]),
    ];
  };

  const works: Promise<void>[] = [];
  let beating: Promise<void> | undefined;
  let subscribed: Promise<AsyncDisposable | undefined> | undefined;
  const subscribe = async (): Promise<AsyncDisposable | undefined> => {
    await retryWhileAway(prepare, { signal, onAway: events.gone });
    beating = heartbeat(pool, { everyMs: HEARTBEAT_MS, signal, onUp: events.back, onDown: events.gone });
    works.push(...backgroundWork());
    const consume = async (batches: Parameters<BatchHandler>[0]): Promise<void> => {
      await samples.refresh();
      await evaluateAll(readOutcomes(batches), evaluate);
    };
    return bus?.subscribe(CONSUMER, consume, {
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
        snapshot: (question, until) => snapshotTraffic(question, until, judging),
        sampling: {
          list: () => online.sampling(),
          async put(wanted) {
            const checked = await checkedSampling(wanted, judging);
            await online.putSampling(checked, nowMs());
            return checked;
          },
        },
        drift: (question) => findDrift(question, signals),
        nowMs,
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
      await Promise.all(works);
      await pool.end();
    },
  };
}

function sha256() {
  const hash = createHash("sha256");
  return { update: (text: string): void => void hash.update(text), hex: () => hash.digest("hex") };
}

/** 32 bits of a hash, the same on every machine. */
const hash32 = (text: string): number => hash("sha256", text, "buffer").readUInt32BE(0);

/** Opened when a text is first sealed, opened or named: a process that does neither makes no key. */
function keptKeys({ dataDir, evaluation: { sealKey } }: EvaluationOptions["config"]): TextKeys {
  let keys: TextKeys | undefined;
  const opened = (): TextKeys =>
    (keys ??= textKeys(
      sealKey === undefined
        ? keptSecret(join(dataDir, "evaluation-seal.key"), () => randomBytes(32))
        : Buffer.from(sealKey.reveal()),
    ));
  return {
    make: (belongsTo) => opened().make(belongsTo),
    open: (sealed, belongsTo) => opened().open(sealed, belongsTo),
    keyed: (name) => opened().keyed(name),
  };
}

function modelsOf({ config, peers }: EvaluationOptions) {
  const { key } = config.evaluation;
  if (peers === undefined) return noModels("This instance asks no models.");
  return key === undefined
    ? noModels("Set evaluation.key to a Weir key: models are asked with it.")
    : gatewayModels(peers, key);
}

function trafficOf({ config: { adminToken }, peers }: EvaluationOptions) {
  if (peers === undefined) return noTraffic("This instance reads no recorded traffic.");
  return adminToken === undefined
    ? noTraffic("Set WEIR_ADMIN_TOKEN: recorded traffic is read with it.")
    : auditTraffic(peers, adminToken);
}
