import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { FRAME_KIND } from "@weir/events";
import { Secret } from "@weir/kernel";
import { inProcessPeers, type Service } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { recordOf } from "../src/adapters/header-reader.ts";
import { createAudit } from "../src/index.ts";
import { frame, outcomeMessage, poolOf, prepared, SETTINGS } from "./support.ts";

const COUNT = 2_500;
const dataDir = mkdtempSync(join(tmpdir(), "weir-audit-"));
let server: BackingPostgres;
let service: Service;
let costs: Client<typeof audit.CostService>;
let database: { connectionString: string };
const headers = { authorization: "Bearer operator-token" };

beforeAll(async () => {
  server = await startPostgres();
  database = (await prepared(await server.freshDatabase())) as { connectionString: string };
  await using pool = poolOf(database, "weir_audit");
  const records = Array.from({ length: COUNT }, (_, seed) => recordOf("p", outcome(seed), 0));
  await postgresLogWriter(pool).append(records);
  service = await createAudit({
    config: { adminToken: new Secret("operator-token"), dataDir, audit: SETTINGS },
    telemetry: createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false }),
    database,
  });
  await service.start();
  costs = inProcessPeers(service.routes).client(audit.CostService);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Every tenth is another workspace's, every fifth was paid for by nobody. */
function outcome(seed: number) {
  const message = outcomeMessage({ seed, workspaceId: seed % 10 === 0 ? "v" : "w" });
  const usage = { inputTokens: 10, outputTokens: 20 };
  const attempt = { attempt: 1, provider: "echo", model: "echo-1", status: 200 };
  const served = { ...attempt, costNanos: 1_000n, usage, billing: 1 };
  const attempts = seed % 5 === 1 ? [attempt] : [served];
  const result = { ...message.result, $typeName: undefined, attempts, priceVersion: "echo" };
  const header = create(audit.OutcomeSchema, { ...message, $typeName: undefined, result } as MessageInitShape<
    typeof audit.OutcomeSchema
  >);
  return frame({ number: seed + 1, kind: FRAME_KIND.outcome, header: toBinary(audit.OutcomeSchema, header) });
}

const price = (perMtok: bigint) => ({ inputNanosPerMtok: perMtok, outputNanosPerMtok: perMtok });
const sheet = (...prices: MessageInitShape<typeof audit.SheetPriceSchema>[]) => ({ version: "next", prices });
const ECHO = { provider: "echo", model: "echo-1" };

async function reprice(request: MessageInitShape<typeof audit.RepriceRequestSchema>) {
  const progress: bigint[] = [];
  let done: audit.Repricing | undefined;
  for await (const { message } of costs.reprice(request, { headers })) {
    if (message.case === "records") progress.push(message.value);
    else if (message.case === "done") done = message.value;
  }
  return { progress, done };
}

async function counted(table: string): Promise<number> {
  await using pool = poolOf(database);
  const { rows } = await pool.query<{ count: string }>(`select count(*) from ${table}`);
  return Number(rows[0]?.count);
}

test("history by other prices is told by workspace and model, and stored beside the log", async () => {
  const prices = sheet(
    { ...ECHO, workspaceId: "v", price: price(2_000_000_000n) },
    { ...ECHO, price: price(1_000_000_000n) },
  );
  const { progress, done } = await reprice({ sheet: prices });
  expect(progress).toEqual([1_000n, 2_000n]);
  // 250 of v at 60 µ$, 1,750 of w at 30 µ$.
  expect(done).toMatchObject({
    version: "next",
    records: BigInt(COUNT),
    recordedNanos: 2_000_000n,
    repricedNanos: 250n * 60_000n + 1_750n * 30_000n,
    unpriced: 0n,
    groups: [
      { workspaceId: "w", name: "fast", provider: "echo", model: "echo-1", calls: 1_750n, recordedVersions: ["echo"] },
      { workspaceId: "v", calls: 250n, repricedNanos: 250n * 60_000n },
    ],
  });
  const { repricings } = await costs.listRepricings({}, { headers });
  expect(repricings).toMatchObject([{ id: done?.id, version: "next", groups: [] }]);
  expect((await costs.getRepricing({ id: done?.id ?? "" }, { headers })).repricing).toEqual(done);
  expect(await counted("audit.repriced")).toBe(2_000);
  await using pool = poolOf(database);
  const { rows } = await pool.query("select distinct cost_nanos from audit.audit_record");
  expect(rows).toEqual([{ cost_nanos: "1000" }]);
});

test("what has no price in the sheet is counted, and in neither sum", async () => {
  const { done } = await reprice({ sheet: sheet({ ...ECHO, workspaceId: "v", price: price(1n) }), dryRun: true });
  expect(done).toMatchObject({ id: "", unpriced: 1_750n, recordedNanos: 250_000n });
});

test("a dry run, and one that its caller leaves, store nothing", async () => {
  const before = [await counted("audit.repriced"), await counted("audit.repricing")];
  await reprice({ sheet: sheet({ ...ECHO, price: price(1n) }), dryRun: true, workspaceId: "v", byDay: true });
  for await (const { message } of costs.reprice({ sheet: sheet({ ...ECHO, price: price(1n) }) }, { headers }))
    if (message.case === "records") break;
  await expect.poll(() => counted("audit.repriced")).toBe(before[0]);
  expect(await counted("audit.repricing")).toBe(before[1]);
});

test("nothing that was stored can be changed", async () => {
  await using pool = poolOf(database, "weir_audit");
  for (const statement of [
    "update audit.repricing set version = 'x'",
    "delete from audit.repriced",
    "truncate audit.repriced",
  ])
    await expect(pool.query(statement)).rejects.toMatchObject({ code: "42501" });
});

test("operators only", async () => {
  const refused = await costs.listRepricings({}).then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );
  expect(refused).toBe(Code.Unauthenticated);
  const none = await costs
    .getRepricing({ id: "01900000-0000-7000-8000-000000000000" }, { headers })
    .catch((error: unknown) => ConnectError.from(error));
  expect(none).toMatchObject({ code: Code.NotFound });
});
