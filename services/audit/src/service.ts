import { hash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "@weir/kernel";
import type { Service } from "@weir/mesh";
import type { Sha256 } from "@weir/proofs";
import { type DatabaseAddress, ensureRole, heartbeat, migrate, openPool, retryWhileAway } from "@weir/storage";
import { readBatches } from "./adapters/batch-reader.ts";
import { postgresLogReader } from "./adapters/postgres-log-reader.ts";
import { postgresLogWriter } from "./adapters/postgres-log-writer.ts";
import { headPlaces } from "./adapters/head-places.ts";
import { postgresHeads } from "./adapters/postgres-heads.ts";
import { postgresProofs } from "./adapters/postgres-proofs.ts";
import { postgresRepricing } from "./adapters/postgres-repricing.ts";
import { postgresRetention } from "./adapters/postgres-retention.ts";
import { signingKeyFile } from "./adapters/signing-key-file.ts";
import type { AuditOptions } from "./config.ts";
import { createCustody } from "./custody.ts";
import { auditEvents } from "./events.ts";
import { logBrowser } from "./flows/browse.ts";
import { headClock } from "./flows/head-clock.ts";
import { type HeadDependencies, rotateKey } from "./flows/heads.ts";
import { prover } from "./flows/prove.ts";
import { retentionClock } from "./flows/retain.ts";
import { seedRetention } from "./flows/seed-retention.ts";
import { storeAll } from "./flows/store.ts";
import { adminGuard } from "./rpc/admin.ts";
import { auditRoutes } from "./rpc/routes.ts";

const ROLE = "weir_audit";
const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");
/** A start that takes longer goes on in the background: the database may be away for hours, and the process must be able to say so. */
const START_MS = 3_000;
const HEARTBEAT_MS = 1_000;
const SEED_AGAIN_MS = 5_000;

/** Depends on its options only, so a worker thread can run it beside the relay. */
export async function createAudit(options: AuditOptions): Promise<Service> {
  const { config, telemetry, database, bus, natsUrl, clock = systemClock } = options;
  const events = auditEvents(telemetry);
  const common = {
    role: ROLE,
    settings: { search_path: "audit, pg_temp" },
    onError: (error: Error) => telemetry.log.debug({ err: error }, "a database connection broke"),
  };
  // Apart, so that questions never wait for the writer nor the writer for questions.
  const writing = openPool(database, {
    ...common,
    applicationName: "weir-audit-writer",
    max: 2,
    // A batch may wait for the sequencer's lock behind those of other replicas.
    statementTimeoutMs: 30_000,
  });
  const reading = openPool(database, { ...common, applicationName: "weir-audit-reader" });
  // A head after a long pause reads many leaves.
  const signing = openPool(database, {
    ...common,
    applicationName: "weir-audit-heads",
    max: 1,
    statementTimeoutMs: 30_000,
  });
  // A run over a long history keeps its connection for as long as it takes.
  const pricing = openPool(database, {
    ...common,
    applicationName: "weir-audit-costs",
    max: 2,
    statementTimeoutMs: 30_000,
  });
  // Waits for the sequencer, as writers do, and nobody waits for it.
  const retaining = openPool(database, {
    ...common,
    applicationName: "weir-audit-retention",
    max: 2,
    statementTimeoutMs: 30_000,
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const custody = createCustody({ config, database, pool: common, events, clock });
  const store = {
    log: custody.over(postgresLogWriter(writing)),
    events,
    nowMs: () => clock.nowMs(),
    wait: (ms: number) => sleep(ms, undefined, { signal }),
  };

  const proofs = postgresProofs(reading, sha256);
  const places = new AsyncDisposableStack();
  const heads: HeadDependencies = {
    store: postgresHeads(signing, sha256),
    keys: signingKeyFile(config.dataDir, sha256),
    // Who writes the log signs its heads; who only answers questions does not.
    places: bus === undefined ? [] : headPlaces(config.audit.headsTo, config.dataDir, natsUrl, places),
    sha256,
    nowMs: () => clock.nowMs(),
    events,
  };
  const retention = postgresRetention(retaining);
  const seeds = {
    all: bus === undefined ? undefined : config.audit.retention,
    workspaces: options.workspaceRetention?.seeds ?? new Map(),
    idsOf: options.workspaceRetention?.idsOf ?? (() => Promise.resolve(new Map())),
  };
  let headed: AsyncDisposable | undefined;
  let retained: AsyncDisposable | undefined;
  let seeded: Promise<void> | undefined;
  const seed = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        return await seedRetention(retention, seeds);
      } catch (error) {
        events.retentionFailed(error);
        await pause(SEED_AGAIN_MS, signal);
      }
    }
  };
  let beating: Promise<void> | undefined;
  let subscribed: Promise<AsyncDisposable | undefined> | undefined;
  const subscribe = async (): Promise<AsyncDisposable | undefined> => {
    await retryWhileAway(() => prepareDatabase(database), { signal, onAway: events.gone });
    await retryWhileAway(() => custody.replay(), { signal, onAway: events.gone });
    beating = heartbeat(reading, { everyMs: HEARTBEAT_MS, signal, onUp: events.back, onDown: events.gone });
    seeded = seed();
    if (bus === undefined) return undefined;
    retained = retentionClock(retention, config.audit.retentionEveryMs, events, pause);
    custody.run(pause);
    headed = headClock(heads, config.audit.headIntervalMs, pause);
    return bus.subscribe("audit", (batches) => storeAll(readBatches(batches, clock.nowMs(), events.unread), store));
  };

  return {
    name: "audit",
    routes: auditRoutes({
      log: logBrowser(postgresLogReader(reading), custody.payloads),
      ...custody.handling,
      lookups: (endUser) => custody.lookups(endUser),
      proofs,
      prover: prover(proofs, sha256),
      rotateKey: (lost) => rotateKey(heads, lost),
      repricing: { store: postgresRepricing(pricing), nowMs: () => clock.nowMs(), randomBytes },
      retention,
      nowMs: () => clock.nowMs(),
      randomBytes,
      requireAdmin: adminGuard(config.adminToken),
    }),
    async start() {
      subscribed = subscribe();
      // What fails later than START_MS has no other place to be told.
      subscribed.catch((error: unknown) => {
        if (!signal.aborted) events.failed(error);
      });
      await Promise.race([subscribed, sleep(START_MS, undefined, { ref: false })]);
    },
    notReady: () => events.away ?? custody.notReady,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      // A start that failed was reported there.
      const subscription = await subscribed?.catch(() => undefined);
      await subscription?.[Symbol.asyncDispose]();
      await seeded;
      await retained?.[Symbol.asyncDispose]();
      await headed?.[Symbol.asyncDispose]();
      await custody[Symbol.asyncDispose]();
      await places.disposeAsync();
      await beating;
      await Promise.all([writing.end(), reading.end(), signing.end(), pricing.end(), retaining.end()]);
    },
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);

async function prepareDatabase(database: DatabaseAddress): Promise<void> {
  await ensureRole(database, ROLE);
  await migrate(database, {
    schema: "audit",
    directory: new URL("../migrations/audit/", import.meta.url),
    lockName: "weir.audit.migrate",
  });
}
