/** From records on the bus to an alarm: what changed is told, once for each signal, and redelivery changes no sum. */
import { create, toBinary } from "@bufbuild/protobuf";
import { audit, common, evaluation } from "@weir/contracts";
import { encodeFrames, FRAME_KIND, memoryBus, sqliteDeadLetters } from "@weir/events";
import { uuidv7 } from "@weir/kernel";
import { inProcessPeers } from "@weir/mesh";
import { openPool } from "@weir/storage";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEvaluation } from "../src/index.ts";
import { ADMIN_TOKEN, testConfig } from "./test-config.ts";

const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
const HOUR_MS = 3_600_000;
const END_MS = 500_000 * HOUR_MS;

let postgres: BackingPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

interface Traffic {
  readonly model: string;
  readonly hoursAgo: number;
  readonly count: number;
  /** One in so many is refused. */
  readonly refused: number;
  readonly tokens: number;
}

let made = 0;

function batchOf({ model, hoursAgo, count, refused, tokens }: Traffic) {
  const first = made + 1;
  const frames = Array.from({ length: count }, (_, at) => {
    const seed = made++;
    const random = new Uint8Array(10);
    new DataView(random.buffer).setFloat64(0, seed);
    const finishReason = at % refused === 0 ? common.FinishReason.REFUSAL : common.FinishReason.STOP;
    const header = toBinary(
      audit.OutcomeSchema,
      create(audit.OutcomeSchema, {
        intent: {
          requestId: uuidv7(1_760_000_000_000 + seed, random),
          workspaceId: "w",
          model,
          dialect: common.Dialect.OPENAI_CHAT,
        },
        atMs: BigInt(END_MS - hoursAgo * HOUR_MS),
        kind: audit.OutcomeKind.SUCCEEDED,
        result: { finishReason, usage: { inputTokens: 3, outputTokens: tokens + (at % 7) }, providerUs: 1_000 },
      }),
    );
    return { kind: FRAME_KIND.outcome, number: seed + 1, header };
  });
  return { producer: "p", first, last: made, data: encodeFrames(frames) };
}

test("refusals, scores and lengths that changed are told apart from those that did not", async () => {
  const url = await postgres.freshDatabase();
  await using bus = memoryBus({ consumers: ["evaluation"], retryMs: 1 });
  const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
  await using service = await createEvaluation({
    config: testConfig("/nonexistent"),
    telemetry,
    database: { connectionString: url },
    bus,
    deadLetters: sqliteDeadLetters(":memory:"),
  });
  await service.start();
  const batches = [
    batchOf({ model: "steady", hoursAgo: 48, count: 900, refused: 50, tokens: 200 }),
    batchOf({ model: "steady", hoursAgo: 3, count: 400, refused: 50, tokens: 200 }),
    batchOf({ model: "changed", hoursAgo: 48, count: 900, refused: 50, tokens: 200 }),
    batchOf({ model: "changed", hoursAgo: 3, count: 400, refused: 2, tokens: 20 }),
    batchOf({ model: "new", hoursAgo: 3, count: 400, refused: 2, tokens: 20 }),
  ];
  for (let times = 0; times < 2; times++) for (const batch of batches) await bus.publish(batch);
  const pool = openPool({ connectionString: url }, { applicationName: "test" });
  const counted = async () =>
    (await pool.query("select coalesce(sum(answers), 0)::int as n from evaluation.signal_sum")).rows[0] as {
      n: number;
    };
  await expect.poll(counted, { timeout: 15_000 }).toEqual({ n: made });
  const client = inProcessPeers(service.routes).client(evaluation.EvaluationService);
  const { drifts } = await client.checkDrift({ toMs: BigInt(END_MS) }, { headers });
  const drifted = drifts.filter((one) => one.drifted).map(({ model, signal }) => `${model} ${signal}`);
  expect(drifted.toSorted()).toEqual(["changed length", "changed refusals", "changed score"]);
  const refusals = drifts.find(({ model, signal }) => model === "changed" && signal === "refusals");
  expect(refusals).toMatchObject({ referenceCount: 900n, windowCount: 400n, referenceValue: 0.02, windowValue: 0.5 });
  // What came twice counts once.
  expect(await counted()).toEqual({ n: made });
  await pool.end();
});
