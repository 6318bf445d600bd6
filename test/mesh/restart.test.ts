/** What a killed Weir had acknowledged is there when it is back; a stopped one finishes what it began. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { audit, policy } from "@weir/contracts";
import { type BackingService, COMPOSITIONS, freePort, startNats, startPostgres, startRedis } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Face, FACES } from "../support/ask.ts";
import { allEntries, outcomesById } from "../support/logged.ts";
import { operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const chat = FACES[0] as Face;
const CONFIG = `workspaces:
  default:
    budgets: [{ period: total, limit_usd: 1000, hard: true }]
`;

describe.each(COMPOSITIONS)("%s", (composition) => {
  const scratch = mkdtempSync(join(tmpdir(), "weir-restart-"));
  const dataDir = join(scratch, "data");
  const env: Record<string, string> = {};
  const backing: BackingService[] = [];
  beforeAll(async () => {
    if (composition === "standalone") return;
    // A mesh's stores outlive it.
    const [postgres, redis, nats] = await Promise.all([startPostgres({ durable: true }), startRedis(), startNats()]);
    backing.push(postgres, redis, nats);
    Object.assign(env, { WEIR_DATABASE_URL: postgres.url, WEIR_REDIS_URL: redis.url, WEIR_NATS_URL: nats.url });
  });
  afterAll(async () => {
    for (const service of backing) await service[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  });
  const boot = (): Promise<Whole> => bootWhole(composition, { dataDir, env, config: CONFIG });
  const ids: string[] = [];

  async function send(whole: Whole, key?: string): Promise<number> {
    const answer = await ask(whole.weir, chat.path, chat.body("m-openai", "hello"), key === undefined ? {} : { key });
    await answer.text();
    if (answer.status === 200) ids.push(answer.headers.get("x-weir-request-id") ?? "");
    return answer.status;
  }

  test("killed and started again: keys, revocations, what was spent and the log are as they were", async () => {
    let secret = "";
    let revoked = "";
    let spent = 0n;
    {
      await using whole = await boot();
      const operator = operatorOf(whole.weir);
      secret = (await operator.policy.createKey({ name: "kept" })).secret;
      const gone = await operator.policy.createKey({ name: "gone" });
      revoked = gone.secret;
      await operator.policy.revokeKey({ keyId: gone.key?.id ?? "" });
      await expect.poll(() => send(whole, secret), { timeout: 5_000 }).toBe(200);
      for (let turn = 0; turn < 10; turn += 1) expect(await send(whole)).toBe(200);
      await expect
        .poll(async () => (await operator.policy.listBudgets({})).budgets[0]?.held, { timeout: 5_000 })
        .toBe(0n);
      spent = (await operator.policy.listBudgets({})).budgets[0]?.spent ?? 0n;
      expect(spent).toBeGreaterThan(0n);
      // The answers were seen just now: the log need not have them yet.
      expect(await send(whole)).toBe(200);
      await whole.weir.kill();
    }
    await using whole = await boot();
    const operator = operatorOf(whole.weir);
    expect(await send(whole, secret)).toBe(200);
    expect(await send(whole, revoked)).toBe(401);
    // What was charged before is kept, and what was answered just before the kill is charged, too: as much as each of the others.
    const perRequest = spent / BigInt(ids.length - 2);
    const spentNow = async (): Promise<(bigint | undefined)[]> =>
      (await operator.policy.listBudgets({})).budgets.map((budget) => budget.spent);
    await expect.poll(spentNow, { timeout: 20_000 }).toEqual([spent + 2n * perRequest]);
    await expect
      .poll(async () => [...(await outcomesById(operator)).keys()].toSorted(), { timeout: 30_000 })
      .toEqual(ids.toSorted());
    for (const outcomes of (await outcomesById(operator)).values()) expect(outcomes).toHaveLength(1);
    await expect
      .poll(async () => (await operator.policy.listBudgets({})).budgets[0]?.held, { timeout: 15_000 })
      .toBe(0n);
    expect((await operator.audit.gaps({})).gaps).toEqual([]);
    // The new epoch says which one it follows, and how far that one came.
    const epochs = (await allEntries(operator, audit.RecordKind.EPOCH_OPEN)).flatMap(({ producer, record }) =>
      record.case === "epochOpen" ? [{ producer, ...record.value }] : [],
    );
    expect(epochs).toHaveLength(2);
    expect(epochs[0]?.previousProducer).toBe(epochs[1]?.producer);
    expect(epochs[0]?.previousLastNumber).toBeGreaterThanOrEqual(24n);
    expect(await whole.weir.stop()).toBe(0);
  });

  test("a kill in the middle of a stream: charged at its bound, logged as unknown, held no more", async () => {
    {
      await using whole = await boot();
      whole.simulator.script({ behaviour: { words: 5_000, trickleMs: 10 } });
      const answer = await ask(whole.weir, chat.path, { ...chat.body("m-openai", "hello", true), max_tokens: 6_000 });
      ids.push(answer.headers.get("x-weir-request-id") ?? "");
      await answer.body?.getReader().read();
      const reading = answer.body?.cancel().catch(() => undefined);
      await whole.weir.kill();
      await reading;
    }
    await using whole = await boot();
    const operator = operatorOf(whole.weir);
    const id = ids.at(-1) ?? "";
    const kinds = async () => (await outcomesById(operator)).get(id)?.map(({ kind }) => kind);
    await expect.poll(kinds, { timeout: 30_000 }).toHaveLength(1);
    expect([audit.OutcomeKind.UNKNOWN, audit.OutcomeKind.CANCELLED]).toContain((await kinds())?.[0]);
    await expect
      .poll(async () => (await operator.policy.listBudgets({})).budgets[0]?.held, { timeout: 20_000 })
      .toBe(0n);
    expect((await operator.audit.gaps({})).gaps).toEqual([]);
  });

  test("stopped in the middle of a stream: it comes to its end, then the epoch is closed and the exit is clean", async () => {
    let id = "";
    {
      await using whole = await boot();
      whole.simulator.script({ behaviour: { words: 60, trickleMs: 20 } });
      const answer = await ask(whole.weir, chat.path, chat.body("m-openai", "hello", true));
      id = answer.headers.get("x-weir-request-id") ?? "";
      ids.push(id);
      const stopped = whole.weir.stop();
      const text = await answer.text();
      expect(text).toContain("word59");
      expect(text).toMatch(chat.ending);
      expect(await stopped).toBe(0);
      await expect(send(whole)).rejects.toThrow();
    }
    await using whole = await boot();
    const operator = operatorOf(whole.weir);
    const look = async () =>
      (await outcomesById(operator)).get(id)?.map(({ kind, result }) => [kind, result?.usage?.estimated]);
    await expect.poll(look, { timeout: 20_000 }).toEqual([[audit.OutcomeKind.SUCCEEDED, false]]);
    const closed = (await allEntries(operator, audit.RecordKind.EPOCH_CLOSE)).length;
    expect(closed).toBeGreaterThanOrEqual(2);
    expect((await operator.audit.gaps({})).gaps).toEqual([]);
    const { budgets } = await operator.policy.listBudgets({});
    expect(budgets.map(({ unit, closed: shut }) => [unit, shut])).toEqual([[policy.BudgetUnit.NANO_USD, false]]);
  });

  test("a second one on the same data is refused in a line, and does the first no harm", async () => {
    await using whole = await boot();
    const service = composition === "standalone" ? "standalone" : "ingress";
    const main = fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
    const child = spawn(process.execPath, [main], {
      cwd: scratch,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"] ?? "",
        ...env,
        WEIR_DATA_DIR: dataDir,
        WEIR_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
        WEIR_RPC_LISTEN: `127.0.0.1:${await freePort()}`,
        WEIR_PEER_POLICY: "http://127.0.0.1:1",
        WEIR_PEER_ROUTER: "http://127.0.0.1:1",
        WEIR_PEER_AUDIT: "http://127.0.0.1:1",
      },
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    if (composition === "standalone") {
      const [code] = (await once(child, "close")) as [number];
      expect(code).toBe(1);
      expect(said).toMatch(/^weir: another Weir runs on the data folder .*WEIR_DATA_DIR/m);
      expect(said).not.toContain("    at ");
    } else {
      // Replicas may share a folder: each has an epoch of its own in it.
      await expect.poll(() => said, { timeout: 10_000 }).toContain("ingress serves");
      child.kill("SIGTERM");
      await once(child, "close");
    }
    expect(await send(whole)).toBe(200);
    const operator = operatorOf(whole.weir);
    const last = ids.at(-1) ?? "";
    await expect.poll(async () => (await outcomesById(operator)).has(last), { timeout: 20_000 }).toBe(true);
    expect((await operator.audit.gaps({})).gaps).toEqual([]);
  });
});
