/** Webhooks as evaluators: nothing internal is reached unless an operator listed it, calls are signed, tries are bounded, and what was said counts. */
import { createHmac, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { evaluation } from "@weir/contracts";
import { sqliteDeadLetters } from "@weir/events";
import { Secret } from "@weir/kernel";
import { inProcessPeers } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createEvaluation } from "../src/index.ts";
import { ADMIN_TOKEN, testConfig } from "./test-config.ts";

const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };

let postgres: BackingPostgres;
let folder: string;
let hook: Server;
let origin: string;
let asked: { readonly headers: Record<string, unknown>; readonly body: string }[] = [];
let answers: (string | number)[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-webhook-"));
  postgres = await startPostgres();
  hook = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      asked.push({ headers: request.headers, body });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (typeof answer === "number") response.writeHead(answer).end();
      else response.writeHead(200).end(answer);
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`;
});
beforeEach(() => {
  asked = [];
});
afterAll(async () => {
  hook.closeAllConnections();
  await new Promise((resolve) => hook.close(resolve));
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function evaluating(internalOrigins: readonly string[]) {
  const base = testConfig(folder);
  const config = {
    ...base,
    webhooks: { internalOrigins },
    evaluation: { ...base.evaluation, secrets: new Map([["hook", new Secret("whsec-for-tests")]]) },
  };
  const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
  const database = { connectionString: await postgres.freshDatabase() };
  const service = await createEvaluation({ config, telemetry, database, deadLetters: sqliteDeadLetters(":memory:") });
  await service.start();
  const client = inProcessPeers(service.routes).client(evaluation.EvaluationService);
  const webhook = { url: `${origin}/judge`, secret: "hook", attempts: 2 };
  await client.putEvaluator({ name: "hook", definition: { kind: { case: "webhook", value: webhook } } }, { headers });
  const { uploadId } = await client.startUpload({ name: "x" }, { headers });
  const lines = ["one", "two"].map((id) => JSON.stringify({ id, input: "?", answer: `answer ${id}` }));
  await client.appendRecords({ uploadId, lines }, { headers });
  const { dataset } = await client.commitUpload({ uploadId }, { headers });
  return {
    async judge(): Promise<{ lines: string; error: string }> {
      const runId = randomUUID();
      await client.createRun({ runId, dataset, evaluators: [{ name: "hook" }] }, { headers });
      try {
        for await (const _ of client.continueRun({ runId }, { headers }));
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        return { lines: "", error: error.message };
      }
      let text = "";
      for await (const { lines: more } of client.streamRunResults({ runId }, { headers })) text += more;
      return { lines: text, error: "" };
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

test("what a webhook said of a content counts, and it is asked once; each call is signed", async () => {
  await using service = await evaluating([origin]);
  answers = ['{"score":0.75,"findings":["off-topic"]}'];
  const first = await service.judge();
  expect(
    first.lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as object),
  ).toMatchObject([
    { record: "one", verdict: "pass", score: 0.75, findings: ["off-topic"] },
    { record: "two", verdict: "pass" },
  ]);
  answers = ['{"score":0}'];
  expect(await service.judge()).toEqual(first);
  expect(asked).toHaveLength(2);
  for (const { headers: sent, body } of asked) {
    const signed = `${String(sent["webhook-id"])}.${String(sent["webhook-timestamp"])}.${body}`;
    const signature = createHmac("sha256", "whsec-for-tests").update(signed).digest("base64");
    expect(sent["webhook-signature"]).toBe(`v1,${signature}`);
    expect(JSON.parse(body)).toMatchObject({ evaluator: "hook", version: 1, record: { input: "?" } });
  }
});

test("one that fails is tried again a few times, then the run stops and can go on; nonsense is unjudged", async () => {
  await using service = await evaluating([origin]);
  answers = [503];
  expect((await service.judge()).error).toContain("answered 503");
  // Two records, two tries each at most.
  expect(asked.length).toBeGreaterThanOrEqual(2);
  expect(asked.length).toBeLessThanOrEqual(4);
  answers = [500, 500, "no JSON"];
  expect((await service.judge()).lines).toMatch(/unjudged.*\n.*unjudged/);
});

test("an internal address that no operator listed is not reached", async () => {
  await using service = await evaluating([]);
  answers = ['{"score":1}'];
  expect((await service.judge()).error).toContain("is not https");
  expect(asked).toEqual([]);
});
