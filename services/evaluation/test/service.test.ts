import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { audit, common, evaluation } from "@weir/contracts";
import { type Batch, type BatchHandler, encodeFrames, FRAME_KIND, sqliteDeadLetters } from "@weir/events";
import { uuidv7 } from "@weir/kernel";
import { networkPeers, type Service, serveRoutes } from "@weir/mesh";
import { openPool } from "@weir/storage";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEvaluation } from "../src/index.ts";
import { ADMIN_TOKEN as TOKEN, testConfig } from "./test-config.ts";

const headers = { authorization: `Bearer ${TOKEN}` };

let server: BackingPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const idOf = (seed: number): string => {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setFloat64(0, seed);
  return uuidv7(1_760_000_000_000 + seed, random);
};

interface Answer {
  readonly seed: number;
  readonly workspaceId?: string;
  readonly kind?: audit.OutcomeKind;
  readonly finish?: common.FinishReason;
}

const header = ({
  seed,
  workspaceId = "w",
  kind = audit.OutcomeKind.SUCCEEDED,
  finish = common.FinishReason.STOP,
}: Answer) =>
  toBinary(
    audit.OutcomeSchema,
    create(audit.OutcomeSchema, {
      intent: { requestId: idOf(seed), workspaceId, dialect: common.Dialect.OPENAI_CHAT },
      kind,
      status: 200,
      result: { finishReason: finish, usage: { inputTokens: 3, outputTokens: 4 }, providerUs: 1_000 },
    }),
  );

function batchOf(answers: readonly Answer[], producer = "p"): Batch {
  const frames = answers.flatMap((answer, index) => [
    { kind: FRAME_KIND.intent, number: 2 * index + 1 },
    { kind: FRAME_KIND.outcome, number: 2 * index + 2, ref: 2 * index + 1, header: header(answer) },
  ]);
  return { producer, first: 1, last: 2 * answers.length, data: encodeFrames(frames) };
}

/** Stands for the bus: the test delivers by hand, so that it decides what comes when, and how often. */
function handBus() {
  let handler: BatchHandler | undefined;
  return {
    subscribe: (_consumer: string, next: BatchHandler) => {
      handler = next;
      return Promise.resolve({ lastError: undefined, deadLetters: 0, async [Symbol.asyncDispose]() {} });
    },
    deliver(batches: Batch[]): Promise<void> {
      if (handler === undefined) throw new Error("nobody subscribed");
      return handler(batches);
    },
  };
}

async function evaluating(url: string) {
  const bus = handBus();
  const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
  const config = testConfig("/nonexistent");
  const deadLetters = sqliteDeadLetters(":memory:");
  const service = await createEvaluation({ config, telemetry, database: { connectionString: url }, bus, deadLetters });
  await service.start();
  return Object.assign(service, { bus, deadLetters });
}

async function withClient<T>(
  service: Service,
  use: (client: Client<typeof evaluation.EvaluationService>) => Promise<T>,
): Promise<T> {
  await using running = await serveRoutes(service.routes, { listen: { host: "127.0.0.1", port: 0 } });
  await using peers = networkPeers({ addresses: () => `http://127.0.0.1:${running.port}` });
  return await use(peers.client(evaluation.EvaluationService));
}

const poolOf = (url: string, role?: string) => {
  const pool = openPool(
    { connectionString: url },
    { applicationName: "test", ...(role === undefined ? {} : { role }) },
  );
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
};

test("outcomes are evaluated once, whatever is delivered how often, and operators page through the results", async () => {
  await using service = await evaluating(await server.freshDatabase());
  const answers = Array.from(
    { length: 25 },
    (_, seed): Answer => ({ seed, workspaceId: seed % 5 === 0 ? "five" : "w" }),
  );
  const batch = batchOf([
    ...answers,
    { seed: 90, finish: common.FinishReason.LENGTH },
    { seed: 91, kind: audit.OutcomeKind.CANCELLED },
  ]);
  await Promise.all([service.bus.deliver([batch, batch]), service.bus.deliver([batch])]);
  await service.bus.deliver([batch]);
  await withClient(service, async (client) => {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await client.listResults({ pageSize: 10, pageToken }, { headers });
      seen.push(...page.results.map(({ requestId }) => requestId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen.length).toBe(27);
    expect(new Set(seen).size).toBe(27);

    const resultOf = async (seed: number) => (await client.listResults({ requestId: idOf(seed) }, { headers })).results;
    expect(await resultOf(1)).toMatchObject([
      { verdict: evaluation.Verdict.PASS, score: 1, evaluator: "answer-health", evaluatorVersion: 1 },
    ]);
    expect(await resultOf(90)).toMatchObject([
      { verdict: evaluation.Verdict.FAIL, score: 0.6, findings: ["truncated"] },
    ]);
    expect(await resultOf(91)).toMatchObject([
      { verdict: evaluation.Verdict.NOT_EVALUABLE, findings: ["cancelled-by-client"] },
    ]);
    expect((await client.listResults({ workspaceId: "five" }, { headers })).results.length).toBe(5);
    expect((await client.listResults({ evaluator: "another" }, { headers })).results.length).toBe(0);
    expect((await client.listEvaluators({}, { headers })).evaluators).toMatchObject([
      { name: "answer-health", version: 1 },
    ]);

    const code = async (call: Promise<unknown>): Promise<Code | undefined> => {
      const error = await call.catch((failure: unknown) => failure);
      return error instanceof ConnectError ? error.code : undefined;
    };
    expect(await code(client.listResults({}))).toBe(Code.Unauthenticated);
    expect(await code(client.listEvaluators({}, { headers: { authorization: "Bearer x" } }))).toBe(
      Code.Unauthenticated,
    );
    expect(await code(client.listResults({ pageToken: "?" }, { headers }))).toBe(Code.InvalidArgument);
    expect(await code(client.listResults({ requestId: "' or true" }, { headers }))).toBe(Code.InvalidArgument);
  });
});

test("poison becomes a dead letter, once, and those behind it are evaluated", async () => {
  const url = await server.freshDatabase();
  await using service = await evaluating(url);
  const poison = [
    encodeFrames([{ kind: FRAME_KIND.outcome, number: 1, header: Buffer.from("ffff", "hex") }]), // no message
    Buffer.from("no frame at all, but long enough to be one"), // no frame
    encodeFrames([{ kind: FRAME_KIND.outcome, number: 2 }]), // no request id
    encodeFrames([{ kind: FRAME_KIND.outcome, number: 3, header: header({ seed: 3, workspaceId: "a\u0000b" }) }]), // no text of Postgres
  ];
  const answers = Array.from({ length: 40 }, (_, index): Answer => ({ seed: 100 + index }));
  const data = Buffer.concat([...poison, batchOf(answers).data]);
  for (let times = 0; times < 3; times++) await service.bus.deliver([{ producer: "p", first: 1, last: 99, data }]);
  await using pool = poolOf(url);
  expect((await pool.query("select from evaluation.evaluation_result")).rowCount).toBe(40);
  const { letters } = await service.deadLetters.list(0, 10);
  expect(letters.map(({ reason }) => reason).toSorted()).toEqual([
    "an outcome that cannot be read",
    "an outcome without a request id",
    "bytes that are no record",
    "the database refuses its results",
  ]);
});

test("results and evaluators cannot be changed, by its role for want of a grant, by the owner because of triggers", async () => {
  const url = await server.freshDatabase();
  await using service = await evaluating(url);
  await service.bus.deliver([batchOf([{ seed: 1 }])]);
  const changes = {
    "evaluation.evaluation_result": "update evaluation.evaluation_result set score = 0",
    "evaluation.evaluator": "update evaluation.evaluator set description = ''",
  };
  for (const role of ["weir_evaluation", undefined]) {
    await using pool = poolOf(url, role);
    for (const [table, update] of Object.entries(changes)) {
      const statements = [update, `delete from ${table}`, `truncate ${table} cascade`];
      if (role !== undefined)
        statements.push(`drop table ${table} cascade`, `alter table ${table} disable trigger all`);
      for (const statement of statements) {
        await expect(pool.query(statement), `${role}: ${statement}`).rejects.toMatchObject({ code: "42501" });
      }
    }
  }
});

test("a database that is killed while records come is waited for, and nothing is lost or doubled", async () => {
  await using own = await startPostgres();
  await using service = await evaluating(own.url);
  let done = 0;
  const delivering = (async () => {
    for (let index = 0; index < 60; index++) {
      await service.bus.deliver([batchOf(Array.from({ length: 10 }, (_, at) => ({ seed: index * 10 + at })))]);
      done++;
    }
  })();
  for (const at of [5, 30]) {
    await expect.poll(() => done, { timeout: 20_000, interval: 1 }).toBeGreaterThanOrEqual(at);
    await own.kill();
    await expect.poll(() => service.notReady(), { timeout: 10_000 }).toContain("away");
    await own.restart();
  }
  await delivering;
  await using pool = poolOf(own.url);
  expect((await pool.query("select from evaluation.evaluation_result")).rowCount).toBe(600);
}, 60_000);
