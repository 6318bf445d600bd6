/** Evaluations through the whole of Weir: judges and candidates are asked with a key and its budgets, recorded texts stay in the audit log. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { run } from "@weir/cli";
import { audit, common, evaluation, ingress, policy } from "@weir/contracts";
import { type BackingPostgres, COMPOSITIONS, startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { allEntries } from "../support/logged.ts";

import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
const CANARY = "numbat-7c19aa-canary";
const GOOD = '{"reason":"It is so.","score":9}';

type Definition = MessageInitShape<typeof evaluation.DefinitionSchema>;
const judgeOf = (rubric: string, against = evaluation.Judge_Against.UNSPECIFIED): Definition => ({
  kind: { case: "judge", value: { model: "m-openai", rubric, against } },
});

describe.each(COMPOSITIONS)("%s", (composition) => {
  let postgres: BackingPostgres | undefined;
  let whole: Whole;
  let operator: Operator;
  let database: pg.ClientConfig;
  let scratch: string;

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), "weir-eval-"));
    const env: Record<string, string> = {
      WEIR_MESH_TOKEN: MESH_TOKEN,
      WEIR_BOOTSTRAP_KEY: "weir-test-bootstrap-key-0123456789",
      WEIR_EVALUATION_KEY: "weir-test-bootstrap-key-0123456789",
    };
    if (composition === "mesh") {
      postgres = await startPostgres();
      env["WEIR_DATABASE_URL"] = postgres.url;
    }
    whole = await bootWhole(composition, { env, config: "\nworkspaces: { default: { payloads: full } }\n" });
    operator = operatorOf(whole.weir);
    // Its tables are made while the others already answer.
    await vi.waitFor(() => operator.evaluation.listEvaluators({}), { timeout: 60_000, interval: 100 });
    database =
      postgres === undefined
        ? { host: join(whole.weir.dataDir, "run"), port: 5432, user: "postgres", database: "postgres" }
        : { connectionString: postgres.url };
  });
  afterEach(() => whole.simulator.reset());
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  });

  async function weir(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
    let [out, err] = ["", ""];
    const code = await run(argv, {
      env: { WEIR_RPC: whole.weir.rpcUrl, WEIR_ADMIN_TOKEN: whole.weir.adminToken, WEIR_MESH_TOKEN: MESH_TOKEN },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    });
    return { code, out, err };
  }

  async function done(...argv: string[]): Promise<string> {
    const { code, out, err } = await weir(...argv);
    if (code !== 0) throw new Error(`exit ${code}: ${err}`);
    return out;
  }

  function fileOf(records: readonly object[]): string {
    const file = join(scratch, `${randomUUID()}.jsonl`);
    writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    return file;
  }

  const upload = async (records: readonly object[]): Promise<string> =>
    (await done("eval", "upload", fileOf(records))).split("\n")[0] ?? "";

  async function judged(dataset: string, ...evaluators: string[]) {
    const out = await done("eval", "run", dataset, ...evaluators.flatMap((name) => ["--evaluator", name]));
    const [, runId = ""] = /^run (\S+)/.exec(out) ?? [];
    const [, digest = ""] = /results (\S+)/.exec(out) ?? [];
    const lines = (await done("eval", "results", runId)).trim().split("\n");
    return { runId, digest, results: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
  }

  const put = async (name: string, definition: Definition): Promise<void> =>
    void (await operator.evaluation.putEvaluator({ name, definition }));

  /** In all of the service's tables. */
  async function clearTexts(text: string): Promise<number> {
    const client = new pg.Client(database);
    await client.connect();
    try {
      const tables = await client.query<{ name: string }>(
        "select table_name as name from information_schema.tables where table_schema = 'evaluation'",
      );
      let found = 0;
      for (const { name } of tables.rows) {
        const rows = await client.query(`select from evaluation.${name} t where t::text like $1`, [`%${text}%`]);
        const hex = await client.query(`select from evaluation.${name} t where t::text like $1`, [
          `%${Buffer.from(text).toString("hex")}%`,
        ]);
        found += (rows.rowCount ?? 0) + (hex.rowCount ?? 0);
      }
      return found;
    } finally {
      await client.end();
    }
  }

  test("a judge is asked once for each content, through policy and into the log, and agrees with people or not", async () => {
    await put("true-judge", judgeOf("It is true."));
    whole.simulator.script({ behaviour: { text: GOOD } });
    const records = [
      { id: "a", input: "2+2?", answer: "4", label: "pass" },
      { id: "b", input: "2+2?", answer: "5", label: "fail" },
      { id: "c", input: "2+2?", answer: "4" },
      { id: "d", input: "2+2?" },
    ];
    const dataset = await upload(records);
    const first = await judged(dataset, "true-judge");
    expect(first.results.map(({ verdict, score }) => [verdict, score])).toEqual([
      ["pass", 0.9],
      ["pass", 0.9],
      ["pass", 0.9],
      ["not-evaluable", 0],
    ]);
    // a and c say the same.
    expect(whole.simulator.ledger).toHaveLength(2);
    expect(whole.simulator.ledger[0]?.body).toContain('"json_schema"');
    const again = await judged(dataset, "true-judge");
    expect(again.digest).toBe(first.digest);
    expect(whole.simulator.ledger).toHaveLength(2);
    expect(await done("eval", "summary", first.runId)).toMatch(
      /true-judge@1 +3 +0 +1 +0 +0\.900 +– +1 of 2, kappa 0\.000/,
    );
    expect(await done("eval", "risks", first.runId)).toMatch(/a +0\.100 +true-judge/);
    const tagged = async (): Promise<number> =>
      (await allEntries(operator, audit.RecordKind.OUTCOME)).filter(
        ({ record }) => record.case === "outcome" && record.value.intent?.tags["weir-evaluation"] === "true-judge@1",
      ).length;
    await expect.poll(tagged, { timeout: 20_000 }).toBe(2);
  });

  test("what a judge refuses or mumbles is unjudged, and who only looks at the position chooses nothing", async () => {
    await put("mumbling-judge", judgeOf("It is mumbled."));
    await put("position-judge", judgeOf("It is better.", evaluation.Judge_Against.REFERENCE));
    const dataset = await upload([{ id: "a", input: "Why?", answer: "Because.", reference: "It is so." }]);
    whole.simulator.script({ behaviour: { text: "I cannot help with that." } });
    const { results, digest } = await judged(dataset, "mumbling-judge");
    expect(results).toMatchObject([{ verdict: "unjudged", score: 0, findings: ["judge-unreadable"] }]);
    whole.simulator.script({ behaviour: { text: GOOD } });
    expect((await judged(dataset, "mumbling-judge")).digest).toBe(digest);
    whole.simulator.script({ behaviour: { text: '{"reason":"","better":"A"}' } });
    whole.simulator.reset();
    whole.simulator.script({ behaviour: { text: '{"reason":"","better":"A"}' } });
    expect((await judged(dataset, "position-judge")).results).toMatchObject([
      { verdict: "pass", score: 0.5, findings: ["position-dependent"] },
    ]);
    expect(whole.simulator.ledger).toHaveLength(2);
  });

  test("embeddings of answers and references are compared", async () => {
    await put("near", { kind: { case: "similarity", value: { model: "m-openai", passAt: 0.99 } } });
    const dataset = await upload([
      { id: "same", input: "", answer: "the very same", reference: "the very same" },
      { id: "none", input: "", answer: "alone" },
    ]);
    const { results } = await judged(dataset, "near");
    expect(results.map(({ verdict, findings }) => [verdict, findings])).toEqual([
      ["pass", []],
      ["not-evaluable", ["no-reference"]],
    ]);
    expect(results[0]?.["score"]).toBeCloseTo(1, 6);
  });

  test("a run that its budget stops goes on when there is more", async () => {
    await put("dear-judge", judgeOf("It is worth it."));
    whole.simulator.script({ behaviour: { text: GOOD } });
    const dataset = await upload(
      Array.from({ length: 6 }, (_, at) => ({ id: `r${at}`, input: "", answer: `answer ${at}` })),
    );
    const client = createClient(
      policy.PolicyAdminService,
      createConnectTransport({ baseUrl: whole.weir.rpcUrl, httpVersion: "1.1" }),
    );
    const headers = { authorization: `Bearer ${whole.weir.adminToken}` };
    const place = { place: { case: "workspace", value: "default" } } as const;
    const { budget } = await client.putBudget(
      { place, unit: policy.BudgetUnit.REQUESTS, period: policy.BudgetPeriod.DAY, limit: 2n, hard: true },
      { headers },
    );
    // As soon as the keys that are known have it.
    const refused = async (): Promise<string> => {
      const stopped = await weir("eval", "run", dataset, "--evaluator", "dear-judge");
      return `${stopped.code} ${stopped.err}`;
    };
    await expect.poll(refused, { timeout: 20_000 }).toMatch(/^1 .*budget_exceeded/s);
    expect(whole.simulator.ledger.length).toBeLessThanOrEqual(6);
    await client.deleteBudget({ budgetId: budget?.id ?? "" }, { headers });
    const finished = async (): Promise<number> =>
      (await weir("eval", "run", dataset, "--evaluator", "dear-judge")).code;
    await expect.poll(finished, { timeout: 20_000 }).toBe(0);
    expect(whole.simulator.ledger).toHaveLength(6);
  });

  test("recorded traffic of every dialect is judged where it lies: its texts are in no table of evaluation", async () => {
    await put("has-canary", {
      kind: {
        case: "heuristic",
        value: { checks: [{ check: { case: "keywords", value: { all: [CANARY.slice(0, 6)] } } }] },
      },
    });
    const tag = randomUUID().slice(0, 8);
    const ids = new Set<string>();
    const one = async (face: (typeof FACES)[number], stream: boolean): Promise<void> => {
      const answer = await ask(whole.weir, face.path, face.body("m-echo", CANARY, stream), {
        headers: { "x-weir-tags": `case=${tag}` },
      });
      await answer.text();
      expect(answer.status).toBe(200);
      ids.add(answer.headers.get("x-weir-request-id") ?? "");
    };
    // Texts are kept once the ingress has audit's key.
    const kept = async (): Promise<boolean> => {
      const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", "hi") ?? {});
      await answer.text();
      const requestId = answer.headers.get("x-weir-request-id") ?? "";
      const entry = async () =>
        (await operator.audit.get({ requestId, includePayload: true }).catch(() => undefined))?.entries[0];
      await expect.poll(entry, { timeout: 20_000 }).toBeDefined();
      return (await entry())?.payload !== undefined;
    };
    await expect.poll(kept, { timeout: 30_000 }).toBe(true);
    for (const face of FACES) for (const stream of [false, true]) await one(face, stream);
    const gateway = createClient(
      ingress.GatewayService,
      createConnectTransport({ baseUrl: whole.weir.rpcUrl, httpVersion: "1.1" }),
    );
    const headers = { authorization: `Bearer ${whole.weir.key}` };
    const chat: MessageInitShape<typeof common.ChatRequestSchema> = {
      model: "m-echo",
      messages: [{ role: common.Role.USER, parts: [{ part: { case: "text", value: { text: CANARY } } }] }],
    };
    const typed = await gateway.createChat({ chat, tags: { case: tag } }, { headers });
    ids.add(typed.receipt?.requestId ?? "");
    for await (const event of gateway.streamChat({ chat, tags: { case: tag } }, { headers })) {
      if (event.message.case === "receipt") ids.add(event.message.value.requestId);
    }
    const { workspaces } = await operator.policy.listWorkspaces({});
    const workspaceId = workspaces.find(({ name }) => name === "default")?.id ?? "";
    const snapshot = async (): Promise<string> =>
      (await weir("eval", "snapshot", "--workspace-id", workspaceId, "--tag", `case=${tag}`)).out;
    await expect.poll(snapshot, { timeout: 20_000 }).toContain(`${ids.size} records`);
    const [dataset = ""] = (await snapshot()).split("\n");
    expect((await snapshot()).split("\n")[0]).toBe(dataset);
    const { results } = await judged(dataset, "has-canary");
    expect(new Set(results.map(({ record }) => record))).toEqual(ids);
    expect(results.map(({ verdict, findings }) => [verdict, findings])).toEqual(results.map(() => ["pass", []]));
    expect(await clearTexts(CANARY.slice(0, 12))).toBe(0);
  });

  test("a candidate answers a dataset once, is held against the baseline, and shuts the gate", async () => {
    await put("says-good", {
      kind: { case: "heuristic", value: { checks: [{ check: { case: "keywords", value: { all: ["good"] } } }] } },
    });
    await put("says-word", {
      kind: { case: "heuristic", value: { checks: [{ check: { case: "keywords", value: { all: ["bad"] } } }] } },
    });
    const dataset = await upload(
      Array.from({ length: 8 }, (_, at) => ({
        id: `r${at}`,
        input: at % 2 === 0 ? `q${at}` : [{ role: "user", content: `q${at}` }],
        answer: `good ${at}`,
      })),
    );
    const baseline = await judged(dataset, "says-good");
    const replay = (...more: string[]) =>
      weir(
        "eval",
        "replay",
        "--dataset",
        dataset,
        "--model",
        "m-openai",
        "--evaluator",
        "says-good",
        "--baseline",
        baseline.runId,
        ...more,
      );
    whole.simulator.script({ behaviour: { text: `bad ${CANARY}` } });
    const worse = await replay("--fail-if", "lost > 0", "--fail-if", "unpaired > 0");
    expect(worse).toMatchObject({ code: 1 });
    expect(worse.err).toContain("the gate is shut: says-good.lost is 8 (> 0)");
    expect(worse.out).toMatch(/lost 8, gained 0\nMcNemar, exact and two-sided: p = 0\.00781/);
    expect(whole.simulator.ledger).toHaveLength(8);
    const [, runId = ""] = /^run (\S+)/.exec(worse.out) ?? [];
    const rejudged = await done("eval", "rejudge", runId, "--dataset", dataset, "--evaluator", "says-word");
    const [, second = ""] = /^run (\S+)/.exec(rejudged) ?? [];
    expect(await done("eval", "summary", second)).toMatch(/says-word@1 +8 +0/);
    expect(whole.simulator.ledger).toHaveLength(8);
    expect(await clearTexts(CANARY)).toBe(0);
    whole.simulator.script({ behaviour: { text: "good" } });
    expect(await replay("--fail-if", "lost > 0 or pass_rate < 1")).toMatchObject({ code: 0 });
    // A candidate that is refused has failed.
    whole.simulator.script({ behaviour: { status: 400, text: "no" } });
    expect(await replay("--fail-if", "pass_rate < 1")).toMatchObject({ code: 1 });
    expect(await weir("eval", "gate", runId, "--fail-if", "p_value < 0.05")).toMatchObject({ code: 1 });
    expect(await weir("eval", "gate", runId, "--fail-if", "lots > 1")).toMatchObject({ code: 2 });
  });

  test("who is erased is erased from datasets of recorded traffic, and from what a replay made of it", async () => {
    await put("spoken", {
      kind: { case: "heuristic", value: { checks: [{ check: { case: "length", value: { minCharacters: 1 } } }] } },
    });
    const tag = randomUUID().slice(0, 8);
    for (const user of ["erin", "olga"]) {
      const body = { ...FACES[0]?.body("m-echo", `hello from ${user}`), user };
      const answer = await ask(whole.weir, "/v1/chat/completions", body, {
        headers: { "x-weir-tags": `erase=${tag}` },
      });
      await answer.text();
    }
    const { workspaces } = await operator.policy.listWorkspaces({});
    const workspaceId = workspaces.find(({ name }) => name === "default")?.id ?? "";
    const snapshot = async (): Promise<string> =>
      (await weir("eval", "snapshot", "--workspace-id", workspaceId, "--tag", `erase=${tag}`)).out;
    await expect.poll(snapshot, { timeout: 20_000 }).toContain("2 records");
    const [dataset = ""] = (await snapshot()).split("\n");
    const evaluator = ["--evaluator", "spoken"];
    const replay = await done("eval", "replay", "--dataset", dataset, "--model", "m-openai", ...evaluator);
    const [, replayed = ""] = /^run (\S+)/.exec(replay) ?? [];
    expect((await judged(dataset, "spoken")).results.map(({ findings }) => findings)).toEqual([[], []]);
    await done("audit", "erase", "--workspace", "default", "--end-user", "erin");
    const after = (await judged(dataset, "spoken")).results.map(({ verdict, findings }) => [verdict, findings]);
    // The newest first.
    expect(after).toEqual([
      ["pass", []],
      ["not-evaluable", ["erased"]],
    ]);
    const again = await done("eval", "rejudge", replayed, "--dataset", dataset, ...evaluator);
    const [, second = ""] = /^run (\S+)/.exec(again) ?? [];
    expect(await done("eval", "summary", second)).toMatch(/spoken@1 +1 +0 +1 +0/);
    const client = new pg.Client(database);
    await client.connect();
    const left = await client.query("select from evaluation.run_answer where run = $1", [replayed]);
    await client.end();
    expect(left.rowCount).toBe(1);
  });

  test("uploads lie sealed, an erased dataset has no texts any more, and its results stay", async () => {
    await put("long", {
      kind: { case: "heuristic", value: { checks: [{ check: { case: "length", value: { minCharacters: 1 } } }] } },
    });
    const dataset = await upload([{ id: "a", input: CANARY, answer: CANARY }]);
    const before = await judged(dataset, "long");
    expect(await clearTexts(CANARY)).toBe(0);
    expect(await done("eval", "erase", dataset)).toMatch(/^erased 20/);
    const refused = await weir("eval", "run", dataset, "--evaluator", "long");
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.err).toContain("was erased");
    expect(await done("eval", "results", before.runId)).toContain('"verdict":"pass"');
    expect((await weir("eval", "upload", fileOf([{ id: "a", input: CANARY, answer: CANARY }]))).err).toContain(
      "was erased",
    );
  });

  test("a share of the traffic is judged as it comes", async () => {
    await put("live", {
      kind: { case: "heuristic", value: { checks: [{ check: { case: "length", value: { minCharacters: 1 } } }] } },
    });
    const { workspaces } = await operator.policy.listWorkspaces({});
    const workspaceId = workspaces.find(({ name }) => name === "default")?.id ?? "";
    await done("eval", "sampling", "put", "--workspace-id", workspaceId, "--share", "1", "--evaluator", "live");
    expect(await done("eval", "sampling", "list")).toMatch(/1 +live@1/);
    const live = async (): Promise<string> => {
      const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", "hello") ?? {});
      await answer.text();
      return await done("evaluations", "list", "--workspace-id", workspaceId, "--evaluator", "live");
    };
    await expect.poll(live, { timeout: 40_000, interval: 1_000 }).toMatch(/live@1 +pass/);
    await done("eval", "sampling", "put", "--workspace-id", workspaceId, "--share", "0");
    expect(await done("eval", "drift", "--workspace-id", workspaceId)).toMatch(/\(none\)|WORKSPACE/);
  });
});
