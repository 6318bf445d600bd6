/** Copies of requests for a target that nobody is served by: they cost their own key, are told in records of their own, and touch nothing else. */
import { renameSync, writeFileSync } from "node:fs";
import { run } from "@weir/cli";
import { policy } from "@weir/contracts";
import { COMPOSITIONS, type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, type Face, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { type Cluster, startCluster } from "../support/processes.ts";

const { BudgetPeriod, BudgetSubject, BudgetUnit } = policy;
const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
const MAIL = "quokka@example.com";
const CONCURRENT = 3;
const SLOW_MS = 3_000;

describe.each(COMPOSITIONS)("%s", (composition) => {
  let cluster: Cluster;
  let serving: Simulator;
  let shadowing: Simulator;
  let payer = "";
  const configOf = (keyId: string): string => {
    const shadow = (model: string): string =>
      keyId === ""
        ? ""
        : `shadow: { provider: shadow, model: ${model}, percent: 100, key_id: ${keyId}, max_concurrent: ${CONCURRENT} }`;
    const price = "price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }";
    return `
providers:
  serves: { kind: openai, base_url: "${serving.origin}/v1", api_key: sk-serves-0123456789, region: eu }
  shadow: { kind: openai, base_url: "${shadowing.origin}/v1", api_key: sk-shadow-0123456789, region: us }
models:
  m: { targets: [{ provider: serves, model: m-real }], ${price}, ${shadow("gpt-4o-mini")} }
guardrails:
  mail: { rules: [{ detect: email, action: redact }] }
workspaces:
  default:
    payloads: full
    rules: { required_guardrails: [mail] }
    budgets: [{ period: total, limit_usd: 1000, hard: true }]
  here: { rules: { allowed_regions: [eu] } }
  shadows:
    budgets: [{ period: total, limit_usd: 1000, hard: true }]
`;
  };
  const front = () => cluster.fronts[0] as Cluster["fronts"][number];
  const budgetOf = async (workspace: string): Promise<{ spent: bigint; held: bigint }> => {
    const { workspaces } = await cluster.operator.policy.listWorkspaces({});
    const id = workspaces.find(({ name }) => name === workspace)?.id ?? "";
    const { budgets } = await cluster.operator.policy.listBudgets({});
    const found = budgets.find(({ place }) => place?.place.case === "workspace" && place.place.value === id);
    return { spent: found?.spent ?? -1n, held: found?.held ?? -1n };
  };
  const copies = async (of: string) =>
    [...(await outcomesById({ audit: cluster.auditor })).values()]
      .flat()
      .filter(({ intent }) => intent?.shadowOf === of);
  const weir = async (...words: string[]): Promise<string> => {
    let out = "";
    const rpc = composition === "standalone" ? front().rpcUrl : cluster.routing.rpcUrl;
    await run(words, {
      env: { WEIR_RPC: rpc, WEIR_ADMIN_TOKEN: cluster.adminToken, WEIR_MESH_TOKEN: MESH_TOKEN },
      out: (text) => void (out += text),
      err: (text) => void (out += text),
    });
    return out;
  };
  const metric = async (end: string): Promise<number> => {
    const text = await (await fetch(`${front().httpUrl}/metrics`)).text();
    return Number(new RegExp(`weir_shadow_copies_total\\{model="m",end="${end}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
  };

  beforeAll(async () => {
    [serving, shadowing] = await Promise.all([startSimulator(), startSimulator()]);
    cluster = await startCluster(composition, { config: configOf("") });
    const { key } = await cluster.operator.policy.createKey({ name: "copies", workspace: "shadows" });
    payer = key?.id ?? "";
    writeFileSync(`${cluster.configFile}.new`, configOf(payer));
    renameSync(`${cluster.configFile}.new`, cluster.configFile);
    // The ingress hears of it every two seconds after the router does.
    await vi.waitFor(
      async () => {
        expect(await weir("route", "explain", "m")).toContain("shadow shadow/gpt-4o-mini");
        await (await ask(front(), "/v1/chat/completions", FACES[0]?.body("m", "warm") ?? {})).text();
        expect(shadowing.ledger).not.toEqual([]);
      },
      { timeout: 30_000, interval: 500 },
    );
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await Promise.all([serving?.[Symbol.asyncDispose](), shadowing?.[Symbol.asyncDispose]()]);
  });
  beforeEach(async () => {
    const quiet = async () => [(await budgetOf("default")).held, (await budgetOf("shadows")).held];
    await expect.poll(quiet, { timeout: 20_000 }).toEqual([0n, 0n]);
    serving.reset();
    shadowing.reset();
  });

  test.each(FACES.flatMap((face) => [false, true].map((stream) => ({ name: face.name, face, stream }))))(
    "$name, stream $stream: the copy has its own record, its own hold, and what guardrails let through",
    async ({ face, stream }) => {
      const before = { default: await budgetOf("default"), shadows: await budgetOf("shadows") };
      const answer = await ask(front(), face.path, face.body("m", `write to ${MAIL}`, stream));
      const text = await answer.text();
      expect([answer.status, answer.headers.get("x-weir-model")]).toEqual([200, "m-real"]);
      if (stream) expect(text).toMatch(face.ending);
      const id = answer.headers.get("x-weir-request-id") ?? "";
      await expect.poll(async () => (await copies(id)).length, { timeout: 30_000 }).toBe(1);
      const [copy] = await copies(id);
      const [original] = (await outcomesById({ audit: cluster.auditor })).get(id) ?? [];
      expect(copy?.intent).toMatchObject({ keyId: payer, model: "shadow/gpt-4o-mini", held: true, stream });
      // Whoever may read the one may read the other, and what is erased of the one is found for the other.
      expect(copy?.intent?.workspaceId).toBe(original?.intent?.workspaceId);
      expect(copy?.intent?.requestId).not.toBe(id);
      expect(copy?.result?.served).toMatchObject({ provider: "shadow", model: "gpt-4o-mini", region: "us" });
      expect(copy?.result?.costNanos).toBeGreaterThan(0n);
      expect(original?.intent?.shadowOf).toBe("");
      const [asked] = shadowing.ledger;
      expect(asked?.stream).toBe(stream);
      expect(asked?.body).not.toContain(MAIL);
      expect(asked?.body).toContain("write to");
      expect([serving.ledger.length, shadowing.ledger.length]).toEqual([1, 1]);
      const charged = async (workspace: "default" | "shadows") => {
        const { spent, held } = await budgetOf(workspace);
        return [spent - before[workspace].spent, held];
      };
      await expect.poll(() => charged("default"), { timeout: 20_000 }).toEqual([original?.result?.costNanos, 0n]);
      await expect.poll(() => charged("shadows"), { timeout: 20_000 }).toEqual([copy?.result?.costNanos, 0n]);
    },
  );

  test("a shadow that fails or hangs delays and fails nothing; no more copies run than may, the others are counted", async () => {
    const [chat] = FACES as [Face];
    const dropped = await metric("dropped");
    // No failure of its target, which would be left alone for a while.
    shadowing.script({ behaviour: { delayMs: SLOW_MS, status: 400 } });
    for (let request = 0; request < CONCURRENT + 4; request++) {
      const answer = await ask(front(), chat.path, chat.body("m", `${request}`));
      await answer.text();
      expect(answer.status).toBe(200);
    }
    // All were answered before the first copy was.
    expect(shadowing.ledger.filter(({ finished }) => finished)).toEqual([]);
    expect(shadowing.ledger.length).toBeLessThanOrEqual(CONCURRENT);
    expect((await metric("dropped")) - dropped).toBe(4);
  });

  test("the client's leaving does not end its copy", async () => {
    const [chat] = FACES as [Face];
    serving.script({ behaviour: { words: 500, trickleMs: 20 } });
    const leave = new AbortController();
    const answer = await ask(front(), chat.path, chat.body("m", "hello", true), { signal: leave.signal });
    const id = answer.headers.get("x-weir-request-id") ?? "";
    await answer.body?.getReader().read();
    leave.abort();
    await expect.poll(() => serving.ledger[0]?.cancelledAtMs, { timeout: 20_000 }).toBeGreaterThan(0);
    await expect.poll(async () => (await copies(id)).map(({ error }) => error), { timeout: 30_000 }).toEqual([0]);
    expect(shadowing.ledger.map(({ finished }) => finished)).toEqual([true]);
  });

  test("what the caller's rules keep from the shadow's region is not copied, and it is answered", async () => {
    const [chat] = FACES as [Face];
    const before = await metric("not_permitted");
    const { secret } = await cluster.operator.policy.createKey({ name: "eu", workspace: "here" });
    const status = async (): Promise<number> => {
      const answer = await ask(front(), chat.path, chat.body("m", "hello"), { key: secret });
      await answer.text();
      return answer.status;
    };
    await expect.poll(status, { timeout: 20_000 }).toBe(200);
    await expect.poll(() => metric("not_permitted"), { timeout: 20_000 }).toBeGreaterThan(before);
    expect(shadowing.ledger).toEqual([]);
  });

  // Last: nothing pays for copies after it.
  test("without a hold there is no copy, and the request is answered", async () => {
    const [chat] = FACES as [Face];
    const refused = await metric("refused");
    const place = { place: { case: "key" as const, value: payer } };
    const unit = BudgetUnit.REQUESTS;
    await cluster.operator.policy.putBudget({
      place,
      period: BudgetPeriod.TOTAL,
      hard: true,
      unit,
      limit: 0n,
      per: BudgetSubject.NONE,
    });
    const send = async (): Promise<number> => {
      const answer = await ask(front(), chat.path, chat.body("m", "hello"));
      await answer.text();
      expect(answer.status).toBe(200);
      return (await metric("refused")) - refused;
    };
    await expect.poll(send, { timeout: 20_000 }).toBeGreaterThan(0);
    shadowing.reset();
    for (let request = 0; request < 3; request++) await send();
    expect(shadowing.ledger).toEqual([]);
  });
});
