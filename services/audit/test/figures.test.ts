import { type Batch, encodeFrames } from "@weir/events";
import { startPostgres } from "@weir/testkit";
import { expect, test } from "vitest";
import { readBatches } from "../src/adapters/batch-reader.ts";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { storeAll } from "../src/flows/store.ts";
import { outcomeFrame, outcomeHeader, poolOf, prepared } from "./support.ts";

const RECORDS = 50_000;
const PER_BATCH = 50;

// Prints a figure and asserts only that nothing was lost: the machine that runs this is busy with other tests.
test(`stores ${RECORDS} records of 1 KB`, async () => {
  await using server = await startPostgres();
  const database = await prepared(await server.freshDatabase());
  await using pool = poolOf(database, "weir_audit");
  // As the relay ships them: the frames of fifty requests in a batch.
  const batches = Array.from({ length: RECORDS / PER_BATCH }, (_, at): Batch => {
    const first = at * PER_BATCH;
    const frames = Array.from({ length: PER_BATCH }, (_, index) =>
      outcomeFrame(2 * (first + index) + 2, 2 * (first + index) + 1, { seed: first + index }),
    );
    return { producer: "figures.0.1", first: 2 * first + 1, last: 2 * (first + PER_BATCH), data: encodeFrames(frames) };
  });
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
    readBatches(batches, 0, () => undefined),
    { log: postgresLogWriter(pool), events, nowMs: () => 0, wait: () => Promise.resolve() },
  );
  const tookMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const header = outcomeHeader({ seed: 1 }).length;
  console.log(
    `${Math.round((RECORDS / tookMs) * 1_000)} records/s (header ${header} B, payload 500 B); ` +
      `${((tookMs * 1_000) / RECORDS).toFixed(1)} µs a record, of which ${((user + system) / RECORDS).toFixed(1)} µs CPU here`,
  );
  const rows = (await pool.query<{ count: string }>("select count(*) from audit_record")).rows;
  expect(rows[0]?.count).toBe(String(RECORDS));
}, 60_000);
