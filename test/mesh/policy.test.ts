/** Who may call, what they may use and how much of it; asked for over the operator's API and by the command line. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { policy } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CLI = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));
const CHAT = "/v1/chat/completions";
const WORDS = 10;
/** Only output is paid for, and the answer has as many words as the cap: what it costs is its bound. */
const COST_NANOS = BigInt(WORDS) * 1_000n;
const CONFIG = `  m-exact:
    targets: [{ provider: compatible, model: exact }]
    price: { input_usd_per_mtok: 0, output_usd_per_mtok: 1 }
    context_window: 100000
    max_output_tokens: 1000000
  m-unpriced: { targets: [{ provider: compatible, model: nobody-knows-its-price }] }
`;
const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    whole = await bootWhole(composition, { config: CONFIG, env: { WEIR_MESH_TOKEN: MESH_TOKEN } });
    operator = operatorOf(whole.weir);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());

  let made = 0;
  async function newKey(
    init: Parameters<Operator["policy"]["createKey"]>[0] = {},
  ): Promise<{ id: string; secret: string }> {
    const { key, secret } = await operator.policy.createKey({ name: `k${(made += 1)}`, ...init });
    return { id: key?.id ?? "", secret };
  }
  const chat = (model: string, more: object = {}): object => ({
    model,
    messages: [{ role: "user", content: "hi" }],
    ...more,
  });
  const status = async (key: string, body = chat("m-echo")): Promise<number> => {
    const answer = await ask(whole.weir, CHAT, body, { key });
    await answer.text();
    return answer.status;
  };
  const code = async (key: string, body = chat("m-echo")): Promise<string> => {
    const answer = await ask(whole.weir, CHAT, body, { key });
    const { error } = (await answer.json()) as { error?: { code: string } };
    return error?.code ?? "";
  };
  const works = (key: string): Promise<void> =>
    expect.poll(() => status(key), { timeout: 5_000, interval: 20 }).toBe(200);

  describe("keys", () => {
    test("a key works within a second of being made, and stops within one of being revoked", async () => {
      const { id, secret } = await newKey({ name: "shortlived" });
      const madeMs = Date.now();
      await works(secret);
      expect(Date.now() - madeMs).toBeLessThan(1_000);
      const listed = await operator.policy.listKeys({});
      const key = listed.keys.find((one) => one.id === id);
      expect(key).toMatchObject({ name: "shortlived", revokedAtMs: 0n });
      expect(secret.startsWith(key?.prefix ?? "nothing")).toBe(true);
      expect(
        JSON.stringify(listed, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
      ).not.toContain(secret);
      await operator.policy.revokeKey({ keyId: id });
      const revokedMs = Date.now();
      await expect.poll(() => status(secret), { timeout: 5_000, interval: 20 }).toBe(401);
      expect(Date.now() - revokedMs).toBeLessThan(1_000);
      expect(await code(secret)).toBe("invalid_key");
      expect((await operator.policy.listKeys({})).keys.map((one) => one.id)).not.toContain(id);
      const revoked = (await operator.policy.listKeys({ includeRevoked: true })).keys.find((one) => one.id === id);
      expect(revoked?.revokedAtMs).toBeGreaterThan(0n);
    });

    test("an expired key is told so", async () => {
      const { secret } = await newKey({ expiresAtMs: BigInt(Date.now() + 1_200) });
      await works(secret);
      await expect.poll(() => status(secret), { timeout: 5_000 }).toBe(401);
      expect(await code(secret)).toBe("expired_key");
    });

    test("a scope is a limit", async () => {
      const reader = await newKey({ scopes: [policy.Scope.READ] });
      await expect.poll(() => status(reader.secret), { timeout: 5_000 }).toBe(403);
      expect(await code(reader.secret)).toBe("permission_denied");
      const admin = (secret: string) =>
        createClient(
          policy.PolicyAdminService,
          createConnectTransport({
            baseUrl: whole.weir.rpcUrl,
            httpVersion: "1.1",
            interceptors: [
              (next) => (request) => {
                request.header.set("authorization", `Bearer ${secret}`);
                return next(request);
              },
            ],
          }),
        );
      const inference = await newKey();
      await works(inference.secret);
      // One that reads may look, and do nothing.
      expect((await admin(reader.secret).listKeys({})).keys.length).toBeGreaterThan(0);
      for (const call of [admin(inference.secret).listKeys({}), admin(reader.secret).createKey({ name: "x" })]) {
        const refused = await call.then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(ConnectError.from(refused).code).toBe(Code.PermissionDenied);
      }
      const stranger = await admin("wk_nobody")
        .listKeys({})
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      expect(ConnectError.from(stranger).code).toBe(Code.Unauthenticated);
      // An admin key sees its own workspace only.
      await operator.policy.createWorkspace({ name: "other" });
      await newKey({ workspace: "other", name: "theirs" });
      const { secret } = await newKey({ scopes: [policy.Scope.ADMIN] });
      const { keys } = await admin(secret).listKeys({});
      expect(keys.length).toBeGreaterThan(0);
      expect(keys.map(({ name }) => name)).not.toContain("theirs");
      const across = await admin(secret)
        .createKey({ workspace: "other", name: "x" })
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      expect([Code.PermissionDenied, Code.NotFound]).toContain(ConnectError.from(across).code);
    });
  });

  describe("rules", () => {
    test("models are allowed and denied by name", async () => {
      const { secret } = await newKey({ rules: { allowedModels: ["m-e*", "m-openai"], deniedModels: ["m-exact"] } });
      await works(secret);
      expect(await status(secret, chat("m-openai"))).toBe(200);
      for (const model of ["m-exact", "m-anthropic", "openai/gpt-4o-mini", "nothing-of-that-name"])
        expect(await code(secret, chat(model)), model).toBe("model_not_allowed");
      const listed = (await (
        await fetch(`${whole.weir.httpUrl}/v1/models`, { headers: { authorization: `Bearer ${secret}` } })
      ).json()) as {
        data: { id: string }[];
      };
      expect(listed.data.map(({ id }) => id).sort()).toEqual(["m-echo", "m-openai"]);
      expect(await code(whole.weir.key, chat("nothing-of-that-name"))).toBe("model_not_found");
    });

    test("providers and the output's length are bounded", async () => {
      const { secret } = await newKey({ rules: { allowedProviders: ["compatible"], maxOutputTokens: 3 } });
      await expect.poll(() => status(secret, chat("m-compatible")), { timeout: 5_000 }).toBe(200);
      expect(await status(secret, chat("m-openai"))).toBe(403);
      whole.simulator.reset();
      await status(secret, chat("m-compatible", { max_tokens: 500 }));
      expect(JSON.parse(whole.simulator.ledger[0]?.body ?? "{}")).toMatchObject({ max_tokens: 3 });
    });
  });

  describe("budgets", () => {
    async function budgetOf(key: string): Promise<policy.Budget | undefined> {
      const { budgets } = await operator.policy.listBudgets({});
      return budgets.find(({ place }) => place?.place.value === key);
    }

    test.each([
      ["dollars", policy.BudgetUnit.NANO_USD, COST_NANOS],
      ["requests", policy.BudgetUnit.REQUESTS, 1n],
    ])("in %s: as many as fit are served, of 64 at once, and none more", async (_name, unit, cost) => {
      const fits = 20;
      const { id, secret } = await newKey();
      await operator.policy.putBudget({
        place: { place: { case: "key", value: id } },
        unit,
        period: policy.BudgetPeriod.TOTAL,
        limit: cost * BigInt(fits),
        hard: true,
      });
      // The ingress knows of the budget when it refuses what can never fit, or what has no price.
      await expect.poll(() => code(secret, chat("m-unpriced")), { timeout: 5_000 }).toBe("price_unknown");
      // Until it knew, it was served.
      whole.simulator.reset();
      whole.simulator.script({ behaviour: { words: WORDS, delayMs: 150 } });
      const answers = await Promise.all(
        Array.from({ length: 64 }, () =>
          ask(whole.weir, CHAT, chat("m-exact", { max_tokens: WORDS }), { key: secret }),
        ),
      );
      const served = answers.filter((answer) => answer.status === 200);
      const refused = answers.filter((answer) => answer.status !== 200);
      expect(served).toHaveLength(fits);
      expect(whole.simulator.ledger).toHaveLength(fits);
      for (const answer of refused) {
        expect(answer.status).toBe(429);
        expect(answer.headers.get("x-should-retry")).toBe("false");
        expect(((await answer.json()) as { error: { code: string } }).error.code).toBe("budget_exceeded");
      }
      for (const answer of served) expect(answer.headers.get("x-weir-cost-usd")).toBe("0.00001");
      await expect.poll(async () => (await budgetOf(id))?.held, { timeout: 10_000 }).toBe(0n);
      expect(await budgetOf(id)).toMatchObject({ spent: cost * BigInt(fits), closed: false });
      expect(await code(secret, chat("m-exact", { max_tokens: WORDS }))).toBe("budget_exceeded");
    });

    test("what a request did not use is there for the next", async () => {
      const { id, secret } = await newKey();
      await operator.policy.putBudget({
        place: { place: { case: "key", value: id } },
        unit: policy.BudgetUnit.NANO_USD,
        period: policy.BudgetPeriod.MONTH,
        limit: 100n * 1_000n,
        hard: true,
      });
      await expect.poll(() => code(secret, chat("m-unpriced")), { timeout: 5_000 }).toBe("price_unknown");
      whole.simulator.script({ behaviour: { words: 1 } });
      // Each holds 90 % and spends 1 %.
      for (let turn = 0; turn < 5; turn += 1) {
        await expect.poll(() => status(secret, chat("m-exact", { max_tokens: 90 })), { timeout: 5_000 }).toBe(200);
      }
      await expect.poll(async () => (await budgetOf(id))?.held, { timeout: 5_000 }).toBe(0n);
      expect((await budgetOf(id))?.spent).toBe(5n * 1_000n);
    });

    test("a soft budget refuses nothing and counts all", async () => {
      const { id, secret } = await newKey();
      await operator.policy.putBudget({
        place: { place: { case: "key", value: id } },
        unit: policy.BudgetUnit.NANO_USD,
        period: policy.BudgetPeriod.DAY,
        limit: 1n,
        hard: false,
      });
      await expect.poll(() => code(secret, chat("m-unpriced")), { timeout: 5_000 }).toBe("price_unknown");
      whole.simulator.script({ behaviour: { words: WORDS } });
      for (let turn = 0; turn < 3; turn += 1)
        expect(await status(secret, chat("m-exact", { max_tokens: WORDS }))).toBe(200);
      await expect.poll(async () => (await budgetOf(id))?.spent, { timeout: 5_000 }).toBe(3n * COST_NANOS);
    });
  });

  test("a rate limit lets as many through as it says, and says when to come back", async () => {
    const { id, secret } = await newKey();
    await works(secret);
    await operator.policy.putLimit({
      place: { place: { case: "key", value: id } },
      per: policy.LimitSubject.KEY,
      unit: policy.LimitUnit.REQUESTS,
      amount: 5n,
      windowMs: 3_600_000n,
      burst: 4n,
    });
    await sleep(700);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(whole.weir, CHAT, chat("m-echo"), { key: secret })),
    );
    const served = answers.filter(({ ok }) => ok);
    expect(served).toHaveLength(5);
    for (const answer of answers) expect(answer.headers.get("x-ratelimit-limit-requests")).toBe("5");
    expect(
      served
        .map((answer) => answer.headers.get("x-ratelimit-remaining-requests"))
        .toSorted((a, b) => Number(a) - Number(b)),
    ).toEqual(["0", "1", "2", "3", "4"]);
    const refused = answers.filter(({ ok }) => !ok);
    for (const answer of refused) {
      expect(answer.status).toBe(429);
      // A steady five an hour: the next in twelve minutes.
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(600);
      expect(Number(answer.headers.get("retry-after"))).toBeLessThanOrEqual(720);
      expect(answer.headers.get("x-ratelimit-remaining-requests")).toBe("0");
      expect(((await answer.json()) as { error: { code: string } }).error.code).toBe("rate_limited");
    }
    expect(await status(whole.weir.key)).toBe(200);
  });

  describe("the command line", () => {
    const run = promisify(execFile);
    async function weir(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
      const env = {
        PATH: process.env["PATH"] ?? "",
        WEIR_RPC: whole.weir.rpcUrl,
        WEIR_ADMIN_TOKEN: whole.weir.adminToken,
        WEIR_MESH_TOKEN: MESH_TOKEN,
      };
      try {
        return { code: 0, ...(await run(process.execPath, [CLI, ...args], { env })) };
      } catch (error) {
        const failed = error as { code: number; stdout: string; stderr: string };
        return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
      }
    }

    test("makes a key that works, lists it and ends it", async () => {
      const created = await weir("keys", "create", "--name", "by-hand", "--allow-model", "m-e*", "--expires", "1h");
      expect(created).toMatchObject({ code: 0, stderr: "" });
      const secret = created.stdout.trim().split("\n").at(-1) ?? "";
      expect(secret).toMatch(/^wk_/);
      await works(secret);
      expect(await status(secret, chat("m-openai"))).toBe(403);
      const listed = await weir("keys", "list", "--json");
      const { keys } = JSON.parse(listed.stdout) as { keys: { id: string; name: string }[] };
      const key = keys.find(({ name }) => name === "by-hand");
      expect(listed.stdout).not.toContain(secret);
      expect((await weir("keys", "list")).stdout).toContain("by-hand");
      expect(await weir("keys", "revoke", key?.id ?? "")).toMatchObject({ code: 0 });
      await expect.poll(() => status(secret), { timeout: 5_000 }).toBe(401);
    });

    test("shows a request in the log", async () => {
      const answer = await ask(whole.weir, CHAT, chat("m-openai"));
      await answer.text();
      const id = answer.headers.get("x-weir-request-id") ?? "";
      const shown = async (): Promise<string> => (await weir("audit", "get", id)).stdout;
      await expect.poll(shown, { timeout: 20_000 }).toContain("outcome");
      expect(await shown()).toContain("openai/gpt-4o-mini");
      expect((await weir("audit", "list", "--limit", "5")).stdout).toContain(id);
      expect(await weir("audit", "gaps")).toMatchObject({ code: 0 });
      expect((await weir("audit", "summary")).stdout).toContain("m-openai");
    });

    test("shows models, providers, budgets, and why a route is as it is", async () => {
      expect((await weir("models")).stdout).toContain("llama-3.3-70b");
      expect((await weir("providers")).stdout).toContain("compatible");
      expect((await weir("route", "explain", "m-openai")).stdout).toContain("gpt-4o-mini");
      const put = await weir("budgets", "put", "--workspace", "default", "--period", "month", "--usd", "1000");
      expect(put).toMatchObject({ code: 0, stderr: "" });
      expect((await weir("budgets", "list")).stdout).toContain("month");
      expect(await weir("config", "check")).toMatchObject({ code: 0 });
    });

    test("says in a line what is wrong, and exits with a code for scripts", async () => {
      const wrong = await weir("audit", "get", "no-uuid");
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toMatch(/^weir: /);
      expect(wrong.stderr).not.toContain("    at ");
      expect((await weir("keys", "revoke", "01900000-0000-7000-8000-000000000000")).code).toBe(1);
      expect((await weir("keys", "creat")).code).toBe(2);
    });
  });
});
