/** What calls cost, from the request to the log: tools, contracts, tokens counted before refusing, streams that are left, history again. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { audit, policy } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CLI = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));
const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
const CONFIG = `  m-counted:
    targets: [{ provider: openai, model: gpt-4o-mini }]
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 0 }
  m-said:
    targets: [{ provider: openai, model: gpt-4o-mini }]
    price: { input_usd_per_mtok: 0, output_usd_per_mtok: 1 }
contracts:
  acme: { provider: compatible, models: ["llama-*"], workspaces: [default], from: 2026-01-01, discount_percent: 50 }
  over: { provider: compatible, models: ["llama-*"], workspaces: [default], to: 2026-01-01, discount_percent: 99 }
`;
const folder = mkdtempSync(join(tmpdir(), "weir-costs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RESPONSE = JSON.stringify({
  id: "resp_1",
  object: "response",
  status: "completed",
  model: "gpt-5",
  created_at: 1,
  output: [
    { type: "web_search_call", id: "a", status: "completed", action: { type: "search", query: "x" } },
    { type: "web_search_call", id: "b", status: "completed", action: { type: "search", query: "y" } },
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "ok", annotations: [] }] },
  ],
  usage: { input_tokens: 1000, output_tokens: 100, total_tokens: 1100 },
});

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    whole = await bootWhole(composition, { config: CONFIG, env: { WEIR_MESH_TOKEN: MESH_TOKEN } });
    operator = operatorOf(whole.weir);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());

  /** A key that may spend so much. */
  async function keyWith(nanos: bigint): Promise<{ id: string; secret: string }> {
    const { key, secret } = await operator.policy.createKey({ name: `k${nanos}` });
    await operator.policy.putBudget({
      place: { place: { case: "key", value: key?.id ?? "" } },
      unit: policy.BudgetUnit.NANO_USD,
      period: policy.BudgetPeriod.TOTAL,
      limit: nanos,
      hard: true,
    });
    // Once the ingress knows of the budget, it refuses what has no price.
    await expect
      .poll(
        async () => {
          const body = { model: "compatible/nobody-knows-its-price", messages: [{ role: "user", content: "hi" }] };
          return (await ask(whole.weir, "/v1/chat/completions", body, { key: secret })).status;
        },
        { timeout: 10_000 },
      )
      .toBe(400);
    whole.simulator.reset();
    return { id: key?.id ?? "", secret };
  }
  async function budgetOf(id: string): Promise<policy.Budget | undefined> {
    const { budgets } = await operator.policy.listBudgets({});
    return budgets.find(({ place }) => place?.place.value === id);
  }
  async function outcomeOf(requestId: string): Promise<audit.Outcome | undefined> {
    let found: audit.Outcome | undefined;
    await expect
      .poll(
        async () => {
          const { entries } = await operator.audit.get({ requestId }).catch(() => ({ entries: [] as audit.Entry[] }));
          for (const { record } of entries) if (record.case === "outcome") found = record.value;
          return found !== undefined;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    return found;
  }

  test("a provider's tool is held for, limited, and charged by the call", async () => {
    // For a tool's sake gpt-5 may read its whole window of 400,000 tokens: $0.50. Ten searches of a cent each do not fit beside it, four do.
    const { secret } = await keyWith(550_000_000n);
    whole.simulator.script({ behaviour: { raw: RESPONSE, contentType: "application/json" } });
    const body = { model: "openai/gpt-5", input: "hi", max_output_tokens: 100, tools: [{ type: "web_search" }] };
    expect((await ask(whole.weir, "/v1/responses", body, { key: secret })).status).toBe(429);
    const unpriced = { ...body, tools: [{ type: "image_generation" }], max_tool_calls: 1 };
    const refused = await ask(whole.weir, "/v1/responses", unpriced, { key: secret });
    expect(await refused.json()).toMatchObject({ error: { code: "price_unknown", param: "tools" } });
    expect(whole.simulator.ledger).toHaveLength(0);
    expect((await ask(whole.weir, "/v1/responses", { ...body, max_tool_calls: 4 }, { key: secret })).status).toBe(200);
    const { id: rich, secret: richSecret } = await keyWith(2_000_000_000n);
    whole.simulator.script({ behaviour: { raw: RESPONSE, contentType: "application/json" } });
    const served = await ask(whole.weir, "/v1/responses", body, { key: richSecret });
    expect(served.status).toBe(200);
    expect(JSON.parse(whole.simulator.ledger.at(-1)?.body ?? "{}")).toMatchObject({ max_tool_calls: 10 });
    expect(served.headers.get("x-weir-cost-usd")).toBe("0.02225");
    await expect.poll(async () => (await budgetOf(rich))?.held, { timeout: 10_000 }).toBe(0n);
    expect((await budgetOf(rich))?.spent).toBe(22_250_000n);
    const outcome = await outcomeOf(served.headers.get("x-weir-request-id") ?? "");
    expect(outcome?.result?.usage?.toolCalls).toMatchObject({ webSearches: 2 });
    expect(outcome?.result?.priceVersion).toMatch(/^genai-prices@[\d.]+\+fees\.\d+$/);
  });

  test("a contract counts for its workspace and in its time, and the record says which it was", async () => {
    const body = { model: "m-compatible", messages: [{ role: "user", content: "one two three" }] };
    const answer = await ask(whole.weir, "/v1/chat/completions", body);
    await answer.text();
    const { result } = (await outcomeOf(answer.headers.get("x-weir-request-id") ?? "")) ?? {};
    const { inputTokens = 0, outputTokens = 0 } = result?.usage ?? {};
    expect(inputTokens).toBeGreaterThan(0);
    // Half of $0.10 and $0.40 a million.
    expect(result?.costNanos).toBe(BigInt(inputTokens * 50 + outputTokens * 200));
    expect(result?.priceVersion).toMatch(/^config#[0-9a-f]{16}\+contract:acme#[0-9a-f]{16}$/);
  });

  test("who does not fit by the bytes, but by the tokens, is served", async () => {
    const content = "The quick brown fox jumps over the lazy dog. ".repeat(400);
    const body = { model: "m-counted", max_tokens: 10, messages: [{ role: "user", content }] };
    const bytes = BigInt(Buffer.byteLength(JSON.stringify(body)));
    const { id, secret } = await keyWith((bytes * 1_000n) / 2n);
    const served = await ask(whole.weir, "/v1/chat/completions", body, { key: secret });
    expect(served.status).toBe(200);
    await served.text();
    await expect.poll(async () => (await budgetOf(id))?.held, { timeout: 10_000 }).toBe(0n);
    expect((await budgetOf(id))?.closed).toBe(false);
    const tooLong = { ...body, messages: [{ role: "user", content: content.repeat(4) }] };
    expect((await ask(whole.weir, "/v1/chat/completions", tooLong, { key: secret })).status).toBe(429);
  });

  test("a stream that its client leaves costs what was sent, and hardly more", async () => {
    const { id, secret } = await keyWith(1_000_000_000n);
    whole.simulator.script({ behaviour: { words: 20_000, trickleMs: 2, usage: false } });
    const leave = new AbortController();
    const body = { model: "m-said", stream: true, max_tokens: 16_000, messages: [{ role: "user", content: "hi" }] };
    const answer = await ask(whole.weir, "/v1/chat/completions", body, { key: secret, signal: leave.signal });
    const reader = answer.body?.getReader();
    for (let bytes = 0; bytes < 60_000; ) bytes += (await reader?.read())?.value?.length ?? 60_000;
    leave.abort();
    const outcome = await outcomeOf(answer.headers.get("x-weir-request-id") ?? "");
    const [entry] = whole.simulator.ledger;
    expect(entry?.cancelledAtMs).toBeGreaterThan(0);
    // "word123" and the space before it are two tokens, three from word1000 on.
    const words = entry?.outputTokens ?? 0;
    const sent = words + Math.min(words, 1_000) + 2 * Math.max(0, words - 1_000);
    const charged = outcome?.result?.usage?.outputTokens ?? 0;
    expect(outcome).toMatchObject({ kind: audit.OutcomeKind.CANCELLED, error: expect.any(Number) });
    expect(outcome?.result?.usage?.estimated).toBe(true);
    expect(charged).toBeGreaterThanOrEqual(sent);
    expect(charged).toBeLessThanOrEqual(Math.ceil(sent * 1.01) + 16);
    expect(outcome?.result?.priceVersion).toMatch(/^config#/);
    await expect.poll(async () => (await budgetOf(id))?.held, { timeout: 10_000 }).toBe(0n);
    expect((await budgetOf(id))?.spent).toBe(BigInt(charged) * 1_000n);
  });

  describe("the command line", () => {
    const run = promisify(execFile);
    async function weir(...args: string[]): Promise<string> {
      const env = {
        PATH: process.env["PATH"] ?? "",
        WEIR_RPC: whole.weir.rpcUrl,
        WEIR_ADMIN_TOKEN: whole.weir.adminToken,
        WEIR_MESH_TOKEN: MESH_TOKEN,
      };
      return (await run(process.execPath, [CLI, ...args], { env })).stdout;
    }

    test("shows prices, whose they are and until when", async () => {
      const shown = await weir("prices", "show", "m-compatible");
      expect(shown).toContain("2026-01-01");
      expect(shown).toMatch(/default +2026-01-01.*\$0\.05/);
      expect(shown).toContain("contract:acme#");
      expect(await weir("prices", "show", "openai/gpt-5")).toMatch(/web search +\$0\.01/);
    });

    test("prices history again, beside the log", async () => {
      const answer = await ask(whole.weir, "/v1/chat/completions", {
        model: "m-openai",
        messages: [{ role: "user", content: "hi" }],
      });
      await answer.text();
      await outcomeOf(answer.headers.get("x-weir-request-id") ?? "");
      const live = await weir("prices", "reprice", "--since", "1h");
      expect(live).toMatch(/m-openai +openai\/gpt-4o-mini/);
      expect(live).toMatch(/stored as [0-9a-f-]{36}/);
      const dry = await weir("prices", "reprice", "--since", "1h", "--prices", "bundled", "--dry-run");
      expect(dry).toContain("nothing was stored");
      expect(await weir("prices", "repricings")).toContain("live");
      const file = join(folder, `${composition}.json`);
      const models = [
        { id: "gpt-4o-mini", match: { starts_with: "gpt-4o-mini" }, prices: { input_mtok: 77, output_mtok: 88 } },
      ];
      writeFileSync(file, JSON.stringify([{ id: "openai", name: "OpenAI", api_pattern: "x", models }]));
      const diff = await weir("prices", "diff", "--to", file, "--since", "1h");
      expect(diff).toMatch(/openai\/gpt-4o-mini +input, a million +\$0\.15 +\$77/);
      expect(diff).toContain("calls in this time: $");
      const bill = join(folder, `${composition}.csv`);
      writeFileSync(bill, `date,model,cost\n${new Date().toISOString().slice(0, 10)},gpt-4o-mini,1\n`);
      await expect(weir("prices", "reconcile", "--provider", "openai", "--file", bill)).rejects.toMatchObject({
        code: 1,
      });
      expect(
        await weir("prices", "reconcile", "--provider", "openai", "--file", bill, "--tolerance", "10000"),
      ).toContain("gpt-4o-mini");
    });
  });
});
