/** The router dies in the middle of streams: clients are told so in their own dialect, and nothing stays open. */
import { audit, common } from "@weir/contracts";
import { type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { type Cluster, startCluster } from "../support/processes.ts";

// In the standalone the router is the process itself: restart.test.ts has its death.
let simulator: Simulator;
let cluster: Cluster;
beforeAll(async () => {
  simulator = await startSimulator();
  const price =
    "price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }, context_window: 100000, max_output_tokens: 4000";
  cluster = await startCluster("mesh", {
    config: `
providers:
  openai: { kind: openai, base_url: "${simulator.origin}/v1", api_key: "env:TEST_PROVIDER_KEY" }
  claude: { kind: anthropic, base_url: "${simulator.origin}", api_key: "env:TEST_PROVIDER_KEY" }
models:
  m-openai: { targets: [{ provider: openai, model: m-openai }], ${price} }
  m-claude: { targets: [{ provider: claude, model: m-claude }], ${price} }
workspaces:
  default:
    budgets: [{ period: total, limit_usd: 1000, hard: true }]
`,
    env: { TEST_PROVIDER_KEY: "sk-simulated-provider-key" },
  });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await simulator?.[Symbol.asyncDispose]();
});

test("streams end in an in-band error, holds are settled, records are complete, and the next router serves", async () => {
  const [front] = cluster.fronts;
  if (front === undefined) throw new Error("not a mesh");
  simulator.script({ behaviour: { words: 5_000, trickleMs: 10 } });
  const streams = await Promise.all(
    FACES.flatMap((face) =>
      ["m-openai", "m-claude"].map(async (model) => {
        const body = { ...face.body(model, "hello", true), ...(face.name === "chat" ? { max_tokens: 2_000 } : {}) };
        const answer = await ask(front, face.path, body);
        const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
        if (reader === undefined) throw new Error("no body");
        let first = "";
        while (!first.includes("word0")) first += (await reader.read()).value ?? "";
        return { face, model, id: answer.headers.get("x-weir-request-id") ?? "", reader, first };
      }),
    ),
  );
  await cluster.routing.kill();
  for (const { face, model, reader, first } of streams) {
    let text = first;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
    }
    expect(text.slice(-2_000), `${face.name} ${model}`).toMatch(face.brokenOff);
    expect(text).not.toMatch(face.ending);
  }
  const { operator } = cluster;
  const log = { audit: cluster.auditor };
  const held = async (): Promise<unknown> => (await operator.policy.listBudgets({})).budgets.map((one) => one.held);
  await expect.poll(held, { timeout: 20_000 }).toEqual([0n]);
  const ids = streams.map(({ id }) => id).toSorted();
  await expect.poll(async () => [...(await outcomesById(log)).keys()].toSorted(), { timeout: 30_000 }).toEqual(ids);
  for (const [id, outcomes] of await outcomesById(log)) {
    expect(outcomes, id).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({
      kind: audit.OutcomeKind.FAILED,
      error: common.ErrorReason.ROUTER_UNAVAILABLE,
      intent: { requestId: id },
    });
    // What was seen is charged, and what cannot be known counts at its bound.
    expect(outcomes[0]?.result?.attempts.length, id).toBeGreaterThan(0);
  }
  expect((await operator.policy.listBudgets({})).budgets[0]?.spent).toBeGreaterThan(0n);
  expect((await log.audit.gaps({})).gaps).toEqual([]);
  // Its connections to the providers went with it.
  expect(simulator.ledger.map(({ finished }) => finished)).toEqual(streams.map(() => false));

  simulator.reset();
  await cluster.routing.start();
  const [chat] = FACES;
  const again = async (): Promise<number | undefined> =>
    chat && (await ask(front, chat.path, { ...chat.body("m-openai", "hello"), max_tokens: 100 })).status;
  await expect.poll(again, { timeout: 30_000 }).toBe(200);
});
