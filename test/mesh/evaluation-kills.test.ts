/** A run that asks a judge, in a process that is killed while it waits for answers: each content is judged once, and hardly any is asked about twice. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConnectError } from "@connectrpc/connect";
import { evaluation } from "@weir/contracts";
import { networkPeers } from "@weir/mesh";
import { startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bootWhole, type Whole } from "../support/whole.ts";

const CHILD = fileURLToPath(new URL("../../services/evaluation/test/serve-child.ts", import.meta.url));
const headers = { authorization: "Bearer operator-token" };
const RECORDS = 150;
/** Of a service at once. */
const AT_ONCE = 8;

let whole: Whole;
let postgres: Awaited<ReturnType<typeof startPostgres>>;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-judge-"));
  [whole, postgres] = await Promise.all([bootWhole("standalone"), startPostgres()]);
});
afterAll(async () => {
  await Promise.all([whole?.[Symbol.asyncDispose](), postgres?.[Symbol.asyncDispose]()]);
  rmSync(folder, { recursive: true, force: true });
});

async function serving(url: string) {
  const child = spawn(process.execPath, [CHILD, url, folder, whole.weir.rpcUrl, whole.weir.key], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const peers = networkPeers({ addresses: () => `http://127.0.0.1:${line.toString().trim()}` });
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  return {
    client: peers.client(evaluation.EvaluationService),
    kill,
    async [Symbol.asyncDispose]() {
      await peers[Symbol.asyncDispose]();
      await kill();
    },
  };
}

test("killed while it waits for its judge, and resumed", async () => {
  const url = await postgres.freshDatabase();
  whole.simulator.script({ behaviour: { text: '{"reason":"","score":8}', delayMs: 25 } });
  const runId = randomUUID();
  {
    await using service = await serving(url);
    const { client } = service;
    const judge = { model: "m-openai", rubric: "It is true." };
    await client.putEvaluator({ name: "judge", definition: { kind: { case: "judge", value: judge } } }, { headers });
    const { uploadId } = await client.startUpload({ name: "x" }, { headers });
    const lines = Array.from({ length: RECORDS }, (_, at) =>
      JSON.stringify({ id: `r${at}`, input: "?", answer: `answer ${at}` }),
    );
    await client.appendRecords({ uploadId, lines }, { headers });
    const { dataset } = await client.commitUpload({ uploadId }, { headers });
    await client.createRun({ runId, dataset, evaluators: [{ name: "judge" }] }, { headers });
  }
  const places = [20, 90, 130];
  for (const place of places) {
    await using service = await serving(url);
    const going = (async () => {
      for await (const _ of service.client.continueRun({ runId }, { headers }));
    })().catch((error: unknown) => error);
    // In the middle of a page, with calls under way.
    await expect.poll(() => whole.simulator.ledger.length, { timeout: 30_000, interval: 5 }).toBeGreaterThan(place);
    await service.kill();
    expect(await going).toBeInstanceOf(ConnectError);
  }
  await using service = await serving(url);
  let digest = "";
  for await (const at of service.client.continueRun({ runId }, { headers })) digest = at.resultsDigest;
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const counted = await client.query(
    `select (select count(*)::int from evaluation.run_result) as results, (select count(distinct ordinal)::int from evaluation.run_result) as records,
            (select count(*)::int from evaluation.judgment) as judgments`,
  );
  await client.end();
  expect(counted.rows[0]).toEqual({ results: RECORDS, records: RECORDS, judgments: RECORDS });
  expect(whole.simulator.ledger.length).toBeGreaterThanOrEqual(RECORDS);
  // What was under way at a kill was nobody's answer.
  expect(whole.simulator.ledger.length).toBeLessThanOrEqual(RECORDS + places.length * AT_ONCE);
});
