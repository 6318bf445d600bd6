import { randomUUID } from "node:crypto";
import type { Clock } from "@weir/kernel";
import { type Subject, subjectDigest } from "@weir/sealing";
import { type DatabaseAddress, openPool, type PoolOptions } from "@weir/storage";
import { custodian, type CustodyEvents } from "./adapters/custodian.ts";
import { erasureJournal } from "./adapters/erasure-journal.ts";
import { keyFolder } from "./adapters/key-folder.ts";
import { keyGenerations } from "./adapters/key-generations.ts";
import { payloadOpener } from "./adapters/payload-opener.ts";
import { postgresErasures } from "./adapters/postgres-erasures.ts";
import { postgresKeyHolders } from "./adapters/postgres-key-holders.ts";
import { lookupsOf, SubjectKeys } from "./adapters/subject-keys.ts";
import { transportKeyFolder } from "./adapters/transport-key-folder.ts";
import type { AuditConfig } from "./config.ts";
import { erasureClock, type ErasureDependencies, type ErasureEvents, replayErasures } from "./flows/erase.ts";
import type { LogWriter, PayloadOpener, TransportKeys } from "./ports.ts";
import type { ErasureHandling } from "./rpc/erasure.ts";
import type { TransportKeyHandling } from "./rpc/transport-key.ts";

export interface Custody extends AsyncDisposable {
  readonly handling: Pick<ErasureHandling, "erasures"> & Pick<TransportKeyHandling, "transport" | "transportKeyFor">;
  readonly payloads: PayloadOpener;
  readonly transport: TransportKeys;
  /** What a subject may be called by in the database: under each generation by another. */
  lookups(subject: Subject): Buffer[];
  /** Puts what is written into the custody of subjects. */
  over(log: LogWriter): LogWriter;
  /** Why it must not serve: what was erased may be there again. */
  readonly notReady: string | undefined;
  /** Erases once more what the journal has and the database has not. */
  replay(): Promise<void>;
  /** From then on it does what erasures need. @param pause resolves after so long, or when the signal fires */
  run(pause: (ms: number, signal: AbortSignal) => Promise<void>): void;
}

/** Often enough for an interval of a minute, and a rewrap that an erasure waits for. */
const STEP_MS = 30_000;

/** All that makes payloads erasable: see docs/decisions/2026-11-21-keys-of-subjects.md. */
export function createCustody(options: {
  readonly config: AuditConfig;
  readonly database: DatabaseAddress;
  readonly pool: Omit<PoolOptions, "applicationName">;
  readonly events: CustodyEvents & ErasureEvents & { readonly replayed: (erasures: number) => void };
  readonly clock: Clock;
}): Custody {
  const { config, database, events, clock } = options;
  const nowMs = (): number => clock.nowMs();
  const pool = openPool(database, {
    ...options.pool,
    applicationName: "weir-audit-keys",
    max: 3,
    // It waits for the sequencer, and for another replica's step.
    statementTimeoutMs: 30_000,
  });
  const transport = transportKeyFolder(config.dataDir);
  const generations = keyGenerations(config.dataDir, config.audit.payloadKeys);
  const folder = keyFolder(config.dataDir);
  const holders = postgresKeyHolders(pool, transport, folder, nowMs);
  const erasures: ErasureDependencies = {
    store: postgresErasures(pool, { transport, generations, folder }),
    journal: erasureJournal(config.dataDir),
    transport,
    generations,
    transportKeyIntervalMs: config.audit.transportKeyIntervalMs,
    nowMs,
    newId: randomUUID,
  };
  let notReady: string | undefined = "erasures are looked through";
  let stepping: AsyncDisposable | undefined;
  return {
    handling: { erasures, transport, transportKeyFor: (producer) => holders.newestFor(producer) },
    payloads: payloadOpener(pool, transport, generations, () => notReady),
    transport,
    lookups: (subject) => lookupsOf(subjectDigest(subject), generations),
    over: (log) => custodian(log, transport, new SubjectKeys(pool, generations, nowMs), holders, events),
    get notReady() {
      return notReady;
    },
    async replay() {
      const replayed = await replayErasures(erasures);
      if (replayed > 0) events.replayed(replayed);
      notReady = undefined;
    },
    run(pause) {
      stepping = erasureClock(erasures, Math.min(STEP_MS, erasures.transportKeyIntervalMs), events, pause);
    },
    async [Symbol.asyncDispose]() {
      await stepping?.[Symbol.asyncDispose]();
      await pool.end();
    },
  };
}
