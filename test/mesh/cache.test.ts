/** A kept answer as its client sees it, and what it costs, is recorded and is counted. */
import { COMPOSITIONS, startPostgres, startRedis } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, type Face, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CONFIG = `  kept:
    targets: [{ provider: openai, model: kept }]
    cache: { ttl: 5m }
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }
    context_window: 100000
    max_output_tokens: 4000
workspaces:
  default:
    budgets: [{ period: total, limit_usd: 10, hard: true }]
`;

describe.each(COMPOSITIONS)("%s", (composition) => {
  const stack = new AsyncDisposableStack();
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    const env: Record<string, string> = {};
    if (composition === "mesh") {
      env["WEIR_DATABASE_URL"] = stack.use(await startPostgres()).url;
      env["WEIR_REDIS_URL"] = stack.use(await startRedis()).url;
    }
    whole = stack.use(await bootWhole(composition, { config: CONFIG, env }));
    operator = operatorOf(whole.weir);
  });
  afterAll(() => stack.disposeAsync());
  beforeEach(() => whole.simulator.reset());

  const spent = async (): Promise<bigint> => (await operator.policy.listBudgets({})).budgets[0]?.spent ?? -1n;
  const settled = async (): Promise<bigint> => {
    await expect
      .poll(async () => (await operator.policy.listBudgets({})).budgets[0]?.held, { timeout: 10_000 })
      .toBe(0n);
    return spent();
  };

  test.each(FACES.flatMap((face) => [false, true].map((stream) => [face, stream] as const)))(
    "$name, stream %s: the same bytes again, from nobody, for nothing",
    async (face: Face, stream) => {
      const body = face.body("kept", `say ${face.path} ${stream}`, stream);
      const first = await ask(whole.weir, face.path, body);
      const text = await first.text();
      expect(first.headers.get("x-weir-cache")).toBe("miss");
      const before = await settled();
      expect(whole.simulator.ledger).toHaveLength(1);

      const again = await ask(whole.weir, face.path, body);
      expect(await again.text()).toBe(text);
      expect(again.headers.get("x-weir-cache")).toBe("hit");
      expect(Number(again.headers.get("age"))).toBeLessThan(60);
      expect(Number(again.headers.get("x-weir-cache-saved-usd"))).toBeGreaterThan(0);
      expect(whole.simulator.ledger).toHaveLength(1);
      expect(await settled()).toBe(before);

      const id = again.headers.get("x-weir-request-id") ?? "";
      await expect.poll(async () => (await outcomesById(operator)).get(id)?.length, { timeout: 20_000 }).toBe(1);
      const [outcome] = (await outcomesById(operator)).get(id) ?? [];
      expect(outcome?.result).toMatchObject({ costNanos: 0n, attempts: [], cache: { hit: true } });
      expect(outcome?.result?.cache?.savedNanos).toBeGreaterThan(0n);
    },
  );

  test("a client that asks for a new answer gets one", async () => {
    const face = FACES[0] as Face;
    const body = face.body("kept", "anew", false);
    for (const cache of [undefined, "no-cache", "no-store"]) {
      const answer = await ask(
        whole.weir,
        face.path,
        body,
        cache === undefined ? {} : { headers: { "cache-control": cache } },
      );
      await answer.text();
      expect(answer.headers.get("x-weir-cache")).toBe("miss");
    }
    expect(whole.simulator.ledger).toHaveLength(3);
  });
});
