import { startPostgres } from "@weir/testkit";
import { expect, test } from "vitest";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { recordOf } from "../src/adapters/header-reader.ts";
import { audit } from "@weir/contracts";
import { storeAll } from "../src/flows/store.ts";
import { outcomeHeader, poolOf, prepared } from "./support.ts";

const RECORDS = 50_000;

// Prints a figure and asserts only that nothing was lost: the machine that runs this is busy with other tests.
test(`stores ${RECORDS} records of 1 KB`, async () => {
  await using server = await startPostgres();
  const database = await prepared(await server.freshDatabase());
  await using pool = poolOf(database, "weir_audit");
  const frames = Array.from({ length: RECORDS }, (_, index) => ({
    producer: "figures/0/1",
    number: 2 * index + 3,
    kind: audit.RecordKind.OUTCOME,
    ref: 2 * index + 2,
    header: outcomeHeader({ seed: index }),
    payload: new Uint8Array(500),
  }));
  const events = {
    stored: () => undefined,
    storeAway: () => undefined,
    quarantined: (_: unknown, error: unknown) => {
      throw error;
    },
  };
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await storeAll(
    frames.values().map((frame) => recordOf(frame, 0)),
    { log: postgresLogWriter(pool), events, nowMs: () => 0, wait: () => Promise.resolve() },
  );
  const tookMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const header = frames[0]?.header.length ?? 0;
  console.log(
    `${Math.round((RECORDS / tookMs) * 1_000)} records/s (header ${header} B, payload 500 B); ` +
      `${((tookMs * 1_000) / RECORDS).toFixed(1)} µs a record, of which ${((user + system) / RECORDS).toFixed(1)} µs CPU here`,
  );
  const rows = (await pool.query<{ count: string }>("select count(*) from audit_record")).rows;
  expect(rows[0]?.count).toBe(String(RECORDS));
}, 60_000);
