/** Reliability row 5, of a consumer that derives something: nobody waits behind what it cannot work with, over both buses. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { audit, common, evaluation } from "@weir/contracts";
import {
  type Batch,
  type Bus,
  type DeadLetters,
  encodeFrames,
  FRAME_KIND,
  jetStreamBus,
  jetStreamDeadLetters,
  memoryBus,
  sqliteDeadLetters,
} from "@weir/events";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { openPool } from "@weir/storage";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startNats, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEvaluation } from "../src/index.ts";
import { ADMIN_TOKEN as TOKEN, testConfig } from "./test-config.ts";

const headers = { authorization: `Bearer ${TOKEN}` };
const CANARY = "CANARY, what somebody said";

let server: BackingPostgres;
let nats: Awaited<ReturnType<typeof startNats>>;
beforeAll(async () => {
  [server, nats] = await Promise.all([startPostgres(), startNats()]);
});
afterAll(() => Promise.all([server?.[Symbol.asyncDispose](), nats?.[Symbol.asyncDispose]()]));

interface Transport extends AsyncDisposable {
  readonly bus: Bus;
  readonly deadLetters: DeadLetters;
}

const TRANSPORTS: Readonly<Record<string, () => Transport>> = {
  "in process": () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-letters-"));
    const bus = memoryBus({ consumers: ["evaluation"], retryMs: 1 });
    const deadLetters = sqliteDeadLetters(join(folder, "dead-letters.db"));
    return {
      bus,
      deadLetters,
      async [Symbol.asyncDispose]() {
        await bus[Symbol.asyncDispose]();
        await deadLetters[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
  JetStream: () => {
    const name = `T${randomUUID().slice(0, 8)}`;
    const bus = jetStreamBus({ url: nats.url, stream: name, subject: `${name}.records` });
    const deadLetters = jetStreamDeadLetters({ url: nats.url, stream: `${name}_DEAD`, subject: `${name}.dead` });
    return {
      bus,
      deadLetters,
      async [Symbol.asyncDispose]() {
        await bus[Symbol.asyncDispose]();
        await deadLetters[Symbol.asyncDispose]();
      },
    };
  },
};

const outcome = (requestId: string, workspaceId = "w"): Uint8Array =>
  toBinary(
    audit.OutcomeSchema,
    create(audit.OutcomeSchema, {
      intent: { requestId, workspaceId, dialect: common.Dialect.OPENAI_CHAT },
      kind: audit.OutcomeKind.SUCCEEDED,
      status: 200,
      result: { finishReason: common.FinishReason.STOP, usage: { inputTokens: 3, outputTokens: 4 } },
    }),
  );

const frame = (number: number, header: Uint8Array): Buffer =>
  encodeFrames([{ kind: FRAME_KIND.outcome, number, header, payload: Buffer.from(CANARY) }]);

const BATCHES = 40;
const EACH = 25;

/** 1,000 records, 1 % of which are bad in one of four ways. */
function traffic(): { batches: Batch[]; good: string[]; bad: number } {
  const good: string[] = [];
  const batches: Batch[] = [];
  let bad = 0;
  for (let index = 0; index < BATCHES; index += 1) {
    const parts: Buffer[] = [];
    for (let at = 0; at < EACH; at += 1) {
      const number = index * EACH + at + 1;
      if (number % 100 !== 50) {
        const id = randomUUID();
        good.push(id);
        parts.push(frame(number, outcome(id)));
        continue;
      }
      bad += 1;
      const kind = bad % 4;
      if (kind === 0) parts.push(frame(number, Buffer.from("ffff", "hex")));
      else if (kind === 1) parts.push(Buffer.from(`no frame at all, but as long as one may be: ${number}`));
      else if (kind === 2) parts.push(frame(number, outcome("no id")));
      else parts.push(frame(number, outcome(randomUUID(), "a\u0000b")));
    }
    const [first, last] = [index * EACH + 1, (index + 1) * EACH];
    batches.push({ producer: "p.0.0123456789abcdef", first, last, data: Buffer.concat(parts) });
  }
  return { batches, good, bad };
}

async function evaluating(url: string, { bus, deadLetters }: Transport) {
  const lines: string[] = [];
  const destination = { write: (line: string): void => void lines.push(line) };
  const telemetry = createTelemetry({ service: "test", level: "info", env: {}, processMetrics: false, destination });
  const config = testConfig("/nonexistent");
  const database = { connectionString: url };
  const service = await createEvaluation({ config, telemetry, database, bus, deadLetters });
  await service.start();
  const running = await serveRoutes(service.routes, { listen: { host: "127.0.0.1", port: 0 } });
  const peers = networkPeers({ addresses: () => `http://127.0.0.1:${running.port}` });
  const pool = openPool({ connectionString: url }, { applicationName: "test" });
  return {
    client: peers.client(evaluation.EvaluationService),
    lines,
    pool,
    metrics: () => telemetry.renderMetrics(),
    results: async () => (await pool.query("select from evaluation.evaluation_result")).rowCount ?? 0,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await peers[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

async function publishSoon(bus: Bus, batch: Batch): Promise<void> {
  await expect
    .poll(
      () =>
        bus.publish(batch).then(
          () => true,
          () => false,
        ),
      { timeout: 30_000, interval: 20 },
    )
    .toBe(true);
}

test.each(Object.keys(TRANSPORTS))(
  "%s: of 1,000 records one in a hundred is bad; those become dead letters, and all others are evaluated",
  async (name) => {
    await using transport = (TRANSPORTS[name] as () => Transport)();
    await using service = await evaluating(await server.freshDatabase(), transport);
    const { batches, good, bad } = traffic();
    for (const batch of batches) await publishSoon(transport.bus, batch);
    await expect.poll(() => service.results(), { timeout: 60_000 }).toBe(good.length);
    // Once more: nothing of it is doubled.
    for (const batch of batches)
      await transport.bus.publish({ ...batch, data: Buffer.concat([batch.data, frame(0, outcome(good[0] ?? ""))]) });
    // Behind them: once it is evaluated, all of them are, and none brings a letter back that is dropped below.
    const lastly = BATCHES * EACH + 1;
    const end = { producer: "p", first: lastly, last: lastly, data: frame(lastly, outcome(randomUUID())) };
    await transport.bus.publish(end);
    await expect.poll(() => service.results(), { timeout: 60_000 }).toBe(good.length + 1);
    await expect
      .poll(async () => (await service.client.listDeadLetters({ pageSize: 1_000 }, { headers })).letters.length, {
        timeout: 60_000,
      })
      .toBe(bad);
    expect(await service.results()).toBe(good.length + 1);

    const seen = [];
    let pageToken = "";
    do {
      const page = await service.client.listDeadLetters({ pageSize: 3, pageToken }, { headers });
      seen.push(...page.letters);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(new Set(seen.map(({ id }) => id)).size).toBe(bad);
    expect(new Set(seen.map(({ reason }) => reason))).toEqual(
      new Set([
        "an outcome that cannot be read",
        "an outcome without a request id",
        "bytes that are no record",
        "the database refuses its results",
      ]),
    );
    for (const { id, consumer, producer } of seen) {
      expect([consumer, producer]).toEqual(["evaluation", "p.0.0123456789abcdef"]);
      expect(Buffer.from((await transport.deadLetters.get(id))?.data ?? []).toString("latin1")).not.toContain("CANARY");
    }
    const refused = seen.find(({ reason }) => reason.startsWith("the database"));
    const { records } = await service.client.getDeadLetter({ id: refused?.id ?? "" }, { headers });
    expect(records).toMatchObject([{ kind: "outcome", number: refused?.firstNumber, workspaceId: "a\u0000b" }]);
    expect(records[0]?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(service.lines.join("")).not.toContain("CANARY");

    // What is bad is bad once more, and stays.
    const ids = seen.map(({ id }) => id);
    const { letters: again } = await service.client.retryDeadLetters({ ids }, { headers });
    expect(again.map(({ result, reason }) => [result, reason])).toEqual(
      seen.map(({ reason }) => [evaluation.RetryResult.FAILED, reason]),
    );
    expect((await service.client.dropDeadLetters({ ids: [...ids, "0".repeat(32)] }, { headers })).dropped).toBe(bad);
    expect((await service.client.listDeadLetters({}, { headers })).letters).toEqual([]);
    expect((await service.client.retryDeadLetters({ ids: ids.slice(0, 1) }, { headers })).letters).toMatchObject([
      { result: evaluation.RetryResult.GONE },
    ]);
  },
);

test.each(Object.keys(TRANSPORTS))(
  "%s: what an operator has put right is worked in by a retry, once, whoever retries how often",
  async (name) => {
    await using transport = (TRANSPORTS[name] as () => Transport)();
    await using service = await evaluating(await server.freshDatabase(), transport);
    await service.pool.query("revoke insert on evaluation.evaluation_result from weir_evaluation");
    const ids = Array.from({ length: 5 }, () => randomUUID());
    for (const [index, id] of ids.entries()) {
      await publishSoon(transport.bus, {
        producer: "p",
        first: index + 1,
        last: index + 1,
        data: frame(index + 1, outcome(id)),
      });
    }
    await expect
      .poll(async () => (await service.client.listDeadLetters({}, { headers })).letters.length, { timeout: 60_000 })
      .toBe(5);
    expect(await service.metrics()).toContain("weir_evaluation_dead_letters_total 5");
    const letters = (await service.client.listDeadLetters({}, { headers })).letters.map(({ id }) => id);
    const results = async (): Promise<evaluation.RetryResult[]> =>
      (await service.client.retryDeadLetters({ ids: letters }, { headers })).letters.map(({ result }) => result);
    expect(new Set(await results())).toEqual(new Set([evaluation.RetryResult.FAILED]));
    await service.pool.query("grant insert on evaluation.evaluation_result to weir_evaluation");
    const both = (await Promise.all([results(), results()])).flat();
    expect(both).not.toContain(evaluation.RetryResult.FAILED);
    expect(await service.results()).toBe(5);
    expect((await service.client.listDeadLetters({}, { headers })).letters).toEqual([]);
  },
);

test("only the operator sees dead letters", async () => {
  await using transport = (TRANSPORTS["in process"] as () => Transport)();
  await using service = await evaluating(await server.freshDatabase(), transport);
  const { client } = service;
  const id = "0".repeat(32);
  for (const call of [
    client.listDeadLetters({}),
    client.getDeadLetter({ id }),
    client.retryDeadLetters({ ids: [id] }),
    client.dropDeadLetters({ ids: [id] }, { headers: { authorization: "Bearer x" } }),
  ]) {
    const error: unknown = await call.catch((failure: unknown) => failure);
    expect(error instanceof ConnectError ? error.code : undefined).toBe(Code.Unauthenticated);
  }
  const missing: unknown = await client.getDeadLetter({ id }, { headers }).catch((failure: unknown) => failure);
  expect(missing instanceof ConnectError ? missing.code : undefined).toBe(Code.NotFound);
});
