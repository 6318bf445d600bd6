/** The log has every request once, nothing of what was said, and cannot be changed by those who write it. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { audit, common, evaluation, policy } from "@weir/contracts";
import { type BackingPostgres, COMPOSITIONS, startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { allEntries, outcomesById } from "../support/logged.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, MODELS, type Whole } from "../support/whole.ts";

const SPOOL_BYTES = 1_048_576;
const ROLES = ["weir_audit", "weir_policy", "weir_evaluation"];
const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
/** Said by clients, by providers and by errors; must be on no disk. */
const CANARY = "quokka-7f3a9c-canary";

function bytesBelow(folder: string): number {
  let bytes = 0;
  for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name);
    // The relay deletes as we look.
    if (existsSync(path)) bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

function filesWith(folder: string, texts: readonly string[]): string[] {
  const found: string[] = [];
  for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (!file.isFile() || !existsSync(path)) continue;
    const bytes = readFileSync(path);
    for (const text of texts) if (bytes.includes(text)) found.push(`${path}: ${text}`);
  }
  return found;
}

describe.each(COMPOSITIONS)("%s", (composition) => {
  let postgres: BackingPostgres | undefined;
  let whole: Whole;
  let operator: Operator;
  let database: pg.ClientConfig;
  /** What clients saw: the id, and what the headers said of it. */
  const answered = new Map<string, { provider: string; attempts: string; cost: string | null; stream: boolean }>();
  let secret = "";

  beforeAll(async () => {
    const env: Record<string, string> = { WEIR_SPOOL_MAX_BYTES: String(SPOOL_BYTES), WEIR_MESH_TOKEN: MESH_TOKEN };
    if (composition === "mesh") {
      postgres = await startPostgres();
      env["WEIR_DATABASE_URL"] = postgres.url;
    }
    whole = await bootWhole(composition, { env });
    operator = operatorOf(whole.weir);
    database =
      postgres === undefined
        ? { host: join(whole.weir.dataDir, "run"), port: 5432, user: "postgres", database: "postgres" }
        : { connectionString: postgres.url };
  });
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  async function query(sql: string, role?: string): Promise<pg.QueryResult> {
    const client = new pg.Client({ ...database, ...(role === undefined ? {} : { options: `-c role=${role}` }) });
    await client.connect();
    try {
      return await client.query(sql);
    } finally {
      await client.end();
    }
  }

  test("each answered request is in it exactly once, with what it cost and who served it", async () => {
    for (const face of FACES) {
      for (const model of MODELS) {
        for (const stream of [false, true]) {
          const answer = await ask(whole.weir, face.path, face.body(model, `one two ${CANARY}`, stream), {
            headers: { "x-weir-tags": "team=search" },
          });
          await answer.text();
          expect(answer.status).toBe(200);
          answered.set(answer.headers.get("x-weir-request-id") ?? "", {
            provider: answer.headers.get("x-weir-provider") ?? "",
            attempts: answer.headers.get("x-weir-attempts") ?? "",
            cost: answer.headers.get("x-weir-cost-usd"),
            stream,
          });
        }
      }
    }
    await expect.poll(async () => (await outcomesById(operator)).size, { timeout: 20_000 }).toBe(answered.size);
    const logged = await outcomesById(operator);
    for (const [id, seen] of answered) {
      const [outcome, ...more] = logged.get(id) ?? [];
      expect(more).toEqual([]);
      expect(outcome).toMatchObject({
        kind: audit.OutcomeKind.SUCCEEDED,
        status: 200,
        intent: { stream: seen.stream, tags: { team: "search" } },
        result: { served: { provider: seen.provider } },
      });
      expect(outcome?.result?.attempts).toHaveLength(Number(seen.attempts));
      expect(outcome?.result?.usage?.outputTokens).toBeGreaterThan(0);
      expect(outcome?.intent?.inputHmac).toHaveLength(32);
      if (seen.cost !== null) expect(Number(outcome?.result?.costNanos) / 1e9).toBeCloseTo(Number(seen.cost), 12);
      // One record tells all: the intent is in its outcome.
      const { entries } = await operator.audit.get({ requestId: id });
      expect(entries.map(({ kind }) => kind)).toEqual([audit.RecordKind.OUTCOME]);
    }
  });

  test("a provider's failure is in it as such", async () => {
    whole.simulator.script({ behaviour: { status: 400, text: `no ${CANARY}` } });
    const answer = await ask(whole.weir, "/v1/messages", FACES[2]?.body("m-anthropic", CANARY) ?? {});
    expect(await answer.text()).toContain(CANARY);
    whole.simulator.script({ behaviour: { malformed: true } });
    const broken = await ask(whole.weir, "/v1/responses", FACES[1]?.body("m-gemini", CANARY) ?? {});
    expect(broken.status).toBe(502);
    whole.simulator.reset();
    for (const [id, reason] of [
      [answer.headers.get("x-weir-request-id"), common.ErrorReason.PROVIDER_REJECTED],
      [broken.headers.get("x-weir-request-id"), common.ErrorReason.PROVIDER_BAD_RESPONSE],
    ] as const) {
      const look = async () =>
        (await outcomesById(operator)).get(id ?? "")?.map(({ kind, error }) => ({ kind, error }));
      await expect.poll(look, { timeout: 20_000 }).toEqual([{ kind: audit.OutcomeKind.FAILED, error: reason }]);
    }
  });

  test("refusals of a known key are in it, many of them as one; strangers are not", async () => {
    const made = await operator.policy.createKey({ name: "narrow", rules: { allowedModels: ["m-echo"] } });
    secret = made.secret;
    const refused = async (): Promise<number> => {
      const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-openai", CANARY) ?? {}, {
        key: secret,
      });
      await answer.text();
      return answer.status;
    };
    await expect.poll(refused, { timeout: 5_000 }).toBe(403);
    for (let turn = 0; turn < 99; turn += 1) expect(await refused()).toBe(403);
    for (let turn = 0; turn < 50; turn += 1)
      await (await ask(whole.weir, "/v1/chat/completions", {}, { key: "wk_stranger" })).text();
    const refusals = async (): Promise<audit.Refusal[]> =>
      (await allEntries(operator, audit.RecordKind.REFUSAL)).flatMap(({ record }) =>
        record.case === "refusal" ? [record.value] : [],
      );
    await expect
      .poll(async () => (await refusals()).reduce((sum, { count }) => sum + count, 0), { timeout: 20_000 })
      .toBe(100);
    const found = await refusals();
    expect(found.length).toBeLessThan(50);
    for (const one of found)
      expect(one).toMatchObject({
        keyId: made.key?.id,
        model: "m-openai",
        reason: common.ErrorReason.MODEL_NOT_ALLOWED,
        rule: "rules allowed_models",
      });
  });

  test("nothing is missing", async () => {
    expect((await operator.audit.gaps({})).gaps).toEqual([]);
  });

  test.each(ROLES)("%s may change nothing of it", async (role) => {
    const { rows } = await query("select count(*)::int as leaves from audit.audit_leaf");
    expect((rows[0] as { leaves: number }).leaves).toBeGreaterThan(30);
    for (const table of ["audit_leaf", "audit_record", "audit_payload"]) {
      for (const statement of [
        `update audit.${table} set index = 0`,
        `delete from audit.${table}`,
        `truncate audit.${table}`,
        `drop table audit.${table}`,
      ])
        await expect(query(statement, role), `${role}: ${statement}`).rejects.toMatchObject({ code: "42501" });
    }
    const after = await query("select count(*)::int as leaves from audit.audit_leaf");
    expect((after.rows[0] as { leaves: number }).leaves).toBeGreaterThanOrEqual((rows[0] as { leaves: number }).leaves);
  });

  test("the services write it by that role, not by their login's rights", async () => {
    const { rows } = await query(
      "select application_name, count(*)::int from pg_stat_activity where application_name like 'weir-%' group by 1",
    );
    expect(rows.length).toBeGreaterThan(0);
    await expect(query("delete from audit.audit_leaf")).rejects.toMatchObject({ code: "42501" });
  });

  test("requests are evaluated in the background", async () => {
    const [id = ""] = answered.keys();
    const results = async (): Promise<evaluation.EvaluationResult[]> =>
      (await operator.evaluation.listResults({ requestId: id })).results;
    await expect.poll(async () => (await results()).length, { timeout: 20_000 }).toBeGreaterThan(0);
    expect((await results())[0]).toMatchObject({ requestId: id, verdict: evaluation.Verdict.PASS });
    const evaluated = async (): Promise<boolean> => {
      const { results } = await operator.evaluation.listResults({ pageSize: 1000 });
      const ids = new Set(results.map(({ requestId }) => requestId));
      return [...answered.keys()].every((one) => ids.has(one));
    };
    await expect.poll(evaluated, { timeout: 20_000 }).toBe(true);
  });

  test("the spool forgets what the log has: more goes through it than it can hold", { timeout: 90_000 }, async () => {
    const requests = 1_500;
    let left = requests;
    let full = 0;
    const one = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", "hi") ?? {});
        await answer.text();
        if (answer.status === 200) continue;
        // Full for a moment: told so, before any provider was called.
        expect(answer.status).toBe(503);
        expect(answer.headers.get("retry-after")).not.toBeNull();
        full += 1;
        left += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const before = (await outcomesById(operator)).size;
    await Promise.all(Array.from({ length: 12 }, one));
    await expect
      .poll(async () => (await outcomesById(operator)).size - before, { timeout: 40_000, interval: 300 })
      .toBe(requests);
    const [producer = ""] = (await allEntries(operator, audit.RecordKind.EPOCH_OPEN)).map((entry) => entry.producer);
    const watermark = async (): Promise<bigint> => {
      const answer = await fetch(`${whole.weir.rpcUrl}/weir.audit.v1.AuditService/Watermark`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${whole.weir.adminToken}`,
          "x-weir-mesh-token": MESH_TOKEN,
        },
        body: JSON.stringify({ producers: [producer] }),
      });
      const { marks } = (await answer.json()) as { marks: { contiguous?: string }[] };
      return BigInt(marks[0]?.contiguous ?? 0);
    };
    await expect.poll(watermark, { timeout: 10_000 }).toBeGreaterThan(BigInt(2 * requests));
    // Far less than all that went through: about a kilobyte and a half a request.
    const spool = join(whole.weir.dataDir, "spool");
    await expect.poll(() => bytesBelow(spool), { timeout: 20_000 }).toBeLessThan(SPOOL_BYTES / 2);
    expect((await operator.audit.gaps({})).gaps).toEqual([]);
    process.stderr.write(`the spool was full for ${full} of ${requests} requests (${composition})\n`);
  });

  test("nothing of what was said, and no credential, is on disk or in the database", async () => {
    const { workspaces } = await operator.policy.listWorkspaces({});
    expect(workspaces.map(({ payloadChoice }) => payloadChoice)).toEqual([policy.PayloadChoice.HASHES]);
    const texts = [CANARY, secret, whole.weir.key, "sk-simulated-provider-key"];
    await query("checkpoint");
    expect(filesWith(whole.weir.dataDir, texts)).toEqual([]);
    const { rows } = await query(
      "select schemaname || '.' || tablename as name from pg_tables where schemaname in ('audit', 'policy', 'evaluation', 'public')",
    );
    const tables = (rows as { name: string }[]).map(({ name }) => name);
    expect(tables.length).toBeGreaterThan(8);
    for (const table of tables) {
      for (const text of texts) {
        const hex = Buffer.from(text).toString("hex");
        const found = await query(
          `select 1 from ${table} t where t::text like '%${text}%' or t::text like '%${hex}%' limit 1`,
        );
        expect(found.rowCount, `${table} has ${text}`).toBe(0);
      }
    }
    // What is looked for would be found: the tags are there, as they are meant to be.
    const tagged = await query(
      `select 1 from audit.audit_record t where t::text like '%${Buffer.from("search").toString("hex")}%' limit 1`,
    );
    expect(tagged.rowCount).toBe(1);
    for (const text of texts) expect(whole.weir.output().includes(text), text).toBe(false);
  });
});
