import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { evaluation } from "@weir/contracts";
import { networkPeers } from "@weir/mesh";
import { openPool } from "@weir/storage";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const headers = { authorization: "Bearer operator-token" };

let server: BackingPostgres;
let dataDir: string;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "weir-evaluation-"));
  server = await startPostgres();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

async function serving(url: string) {
  const script = fileURLToPath(new URL("serve-child.ts", import.meta.url));
  const child = spawn(process.execPath, [script, url, dataDir], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const [line] = (await Promise.race([once(child.stdout, "data"), ended.then(() => ["it ended"])])) as [
    Buffer | string,
  ];
  const peers = networkPeers({ addresses: () => `http://127.0.0.1:${String(line).trim()}` });
  return {
    client: peers.client(evaluation.EvaluationService),
    async [Symbol.asyncDispose]() {
      await peers[Symbol.asyncDispose]();
      child.kill("SIGKILL");
      await ended;
    },
  };
}

type EvaluationClient = Client<typeof evaluation.EvaluationService>;

async function upload(client: EvaluationClient, lines: readonly string[]): Promise<string> {
  const { uploadId } = await client.startUpload({ name: "test" }, { headers });
  for (let first = 0; first < lines.length; first += 1_000) {
    await client.appendRecords({ uploadId, first, lines: lines.slice(first, first + 1_000) }, { headers });
  }
  return (await client.commitUpload({ uploadId }, { headers })).dataset;
}

async function digestOf(client: EvaluationClient, runId: string): Promise<string> {
  let digest = "";
  for await (const { resultsDigest } of client.continueRun({ runId }, { headers })) digest = resultsDigest;
  return digest;
}

async function judge(client: EvaluationClient, dataset: string, evaluators: readonly string[]): Promise<string> {
  const runId = randomUUID();
  await client.createRun({ runId, dataset, evaluators: evaluators.map((name) => ({ name })) }, { headers });
  await digestOf(client, runId);
  return runId;
}

async function linesOf(client: EvaluationClient, runId: string): Promise<string> {
  let text = "";
  for await (const { lines } of client.streamRunResults({ runId }, { headers })) text += lines;
  return text;
}

const codeOf = async (call: Promise<unknown>): Promise<Code | undefined> => {
  const error = await call.catch((failure: unknown) => failure);
  return error instanceof ConnectError ? error.code : undefined;
};

const POLITE: MessageInitShape<typeof evaluation.DefinitionSchema> = {
  kind: {
    case: "heuristic",
    value: {
      checks: [
        { check: { case: "length", value: { minCharacters: 2, maxCharacters: 2_000 } } },
        { check: { case: "noRefusal", value: {} } },
      ],
    },
  },
};
const AGE: MessageInitShape<typeof evaluation.DefinitionSchema> = {
  kind: {
    case: "jsonSchema",
    value: '{"type":"object","required":["age"],"properties":{"age":{"type":"integer","minimum":0}}}',
  },
};
const put = async (client: EvaluationClient, name: string, definition: typeof POLITE): Promise<number> =>
  (await client.putEvaluator({ name, definition }, { headers })).version;

test("versions and datasets are known by what they say, runs judge stored answers, and two runs are compared by pairs", async () => {
  await using service = await serving(await server.freshDatabase());
  const { client } = service;
  expect(await put(client, "polite", POLITE)).toBe(1);
  expect(await put(client, "polite", AGE)).toBe(2);
  expect(await put(client, "polite", POLITE)).toBe(1);
  expect(await put(client, "age", AGE)).toBe(1);
  expect(await codeOf(put(client, "answer-health", AGE))).toBe(Code.AlreadyExists);
  const slow = { kind: { case: "jsonSchema", value: '{"type":"string","pattern":"(a)\\\\1"}' } } as const;
  expect(await codeOf(put(client, "slow", slow))).toBe(Code.InvalidArgument);

  const records = ["", "{}", '{"age":3}', '```json\n{"age":4}\n```', "I'm sorry, but I can't help with that."];
  const lines = [
    ...records.map((answer, at) => JSON.stringify({ id: `r${at}`, input: "How old?", answer })),
    '{"input":"?", "id":"none"}',
  ];
  const dataset = await upload(client, lines);
  expect(
    await upload(
      client,
      lines.map((line) => JSON.stringify(JSON.parse(line), null, 1)),
    ),
  ).toBe(dataset);
  expect(await upload(client, lines.toReversed())).not.toBe(dataset);

  const runId = randomUUID();
  const evaluators = [{ name: "polite", version: 1 }, { name: "age" }];
  for (let times = 0; times < 2; times++) {
    expect((await client.createRun({ runId, dataset, evaluators }, { headers })).evaluators).toMatchObject([
      { name: "age", version: 1 },
      { name: "polite", version: 1 },
    ]);
  }
  const digest = await digestOf(client, runId);
  const text = await linesOf(client, runId);
  expect(createHash("sha256").update(text).digest("hex")).toBe(digest);
  const found = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const verdicts = (name: string) => found.filter(({ evaluator }) => evaluator === name).map(({ verdict }) => verdict);
  expect(verdicts("age")).toEqual(["fail", "fail", "pass", "pass", "fail", "not-evaluable"]);
  expect(verdicts("polite")).toEqual(["fail", "pass", "pass", "pass", "fail", "not-evaluable"]);
  expect(found[2]?.["findings"]).toEqual(["schema: #/required"]);

  const better = await upload(
    client,
    Array.from({ length: 6 }, (_, at) => JSON.stringify({ id: `r${at}`, input: "", answer: '{"age":1}' })),
  );
  const candidate = await judge(client, better, ["age"]);
  const question = { baseline: runId, candidate, evaluator: "age", seed: 7 };
  const compared = await client.compareRuns(question, { headers });
  expect(compared).toMatchObject({ pairs: 5, unpaired: 2, baselinePassed: 2, candidatePassed: 5, lost: 0, gained: 3 });
  expect(compared.pValue).toBeCloseTo(0.25, 12);
  expect(compared.meanDifference).toBeCloseTo(0.6, 12);
  expect(compared.low).toBeGreaterThan(0);
  expect(compared.high).toBe(1);
  expect(await client.compareRuns(question, { headers })).toEqual(compared);
  expect(await codeOf(client.compareRuns({ ...question, evaluator: "polite" }, { headers }))).toBe(
    Code.InvalidArgument,
  );
  expect(await codeOf(client.compareRuns(question))).toBe(Code.Unauthenticated);
});

test("what is no record is refused, an upload goes on where it was, and a dataset takes no more", async () => {
  await using service = await serving(await server.freshDatabase());
  const { client } = service;
  const { uploadId } = await client.startUpload({ name: "x" }, { headers });
  const append = (first: number, ...lines: string[]) => client.appendRecords({ uploadId, first, lines }, { headers });
  for (const bad of [
    "x",
    "[]",
    '{"id":"a"}',
    '{"id":"","input":1}',
    '{"id":"a","input":1,"more":1}',
    '{"id":"a","input":"\\ud800"}',
  ]) {
    expect(await codeOf(append(0, bad)), bad).toBe(Code.InvalidArgument);
  }
  const [a, b, c] = ["a", "b", "c"].map((id) => JSON.stringify({ id, input: null })) as [string, string, string];
  expect((await append(0, a, b)).records).toBe(2);
  expect((await append(0, a, b)).records).toBe(2);
  expect((await append(1, b, c)).records).toBe(3);
  expect(await codeOf(append(0, b))).toBe(Code.InvalidArgument);
  expect(await codeOf(append(4, a))).toBe(Code.InvalidArgument);
  expect(await codeOf(append(3, a))).toBe(Code.InvalidArgument);
  const committed = await client.commitUpload({ uploadId }, { headers });
  expect(await client.commitUpload({ uploadId }, { headers })).toEqual(committed);
  expect(await codeOf(append(3, '{"id":"d","input":1}'))).toBe(Code.AlreadyExists);
  const run = { runId: randomUUID(), dataset: "0".repeat(64), evaluators: [{ name: "none" }] };
  expect(await codeOf(client.createRun(run, { headers }))).toBe(Code.NotFound);
});

test("an erased dataset leaves no upload of the same content; uploads that became no dataset are forgotten", async () => {
  const url = await server.freshDatabase();
  await using stack = new AsyncDisposableStack();
  const pool = stack.adopt(openPool({ connectionString: url }, { applicationName: "test" }), (one) => one.end());
  const left = async (): Promise<number[]> =>
    await Promise.all(
      ["upload", "dataset_key", "dataset_record"].map(
        async (name) => (await pool.query(`select from evaluation.${name}`)).rowCount ?? 0,
      ),
    );
  {
    await using service = await serving(url);
    const lines = ['{"id":"a","input":1,"answer":"x"}', '{"id":"b","input":2,"answer":"y"}'];
    const dataset = await upload(service.client, lines);
    expect(await upload(service.client, lines)).toBe(dataset);
    const { uploadId } = await service.client.startUpload({ name: "copy" }, { headers });
    await service.client.appendRecords({ uploadId, first: 0, lines }, { headers });
    const other = await upload(service.client, lines.slice(1));
    await service.client.startUpload({ name: "never finished" }, { headers });
    expect(await left()).toEqual([5, 5, 7]);
    await service.client.eraseDataset({ dataset }, { headers });
    expect(await left()).toEqual([5, 2, 1]);
    expect(other).not.toBe(dataset);
  }
  await pool.query("alter table evaluation.upload disable trigger all; update evaluation.upload set at_ms = 0");
  await pool.query("alter table evaluation.upload enable trigger all");
  await using _again = await serving(url);
  await expect.poll(left, { timeout: 30_000 }).toEqual([2, 1, 1]);
});

test("definitions, datasets, runs and results cannot be changed, by its role or by the owner", async () => {
  const url = await server.freshDatabase();
  await using service = await serving(url);
  await put(service.client, "age", AGE);
  await judge(service.client, await upload(service.client, ['{"id":"a","input":1,"answer":"{}"}']), ["age"]);
  const changes = {
    definition: "text = ''",
    upload: "name = ''",
    dataset: "records = 2",
    dataset_record: "text = ''",
    run: "evaluators = ''",
    run_result: "score = 1",
    run_end: "at_ms = 0",
    dataset_erasure: "at_ms = 0",
    judgment: "score = 1",
    sampling: "share = 1",
    signal_sum: "hour = 0",
    embedding_sum: "hour = 0",
  };
  for (const role of ["weir_evaluation", undefined]) {
    const pool = openPool(
      { connectionString: url },
      { applicationName: "test", ...(role === undefined ? {} : { role }) },
    );
    for (const [table, change] of Object.entries(changes)) {
      for (const statement of [
        `update evaluation.${table} set ${change}`,
        `delete from evaluation.${table}`,
        `truncate evaluation.${table} cascade`,
      ]) {
        await expect(pool.query(statement), `${role}: ${statement}`).rejects.toMatchObject({ code: "42501" });
      }
    }
    await pool.end();
  }
});
