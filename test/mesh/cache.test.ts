/** A kept answer as its client sees it, and what it costs, is recorded and is counted. */
import { router } from "@weir/contracts";
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
  alike:
    targets: [{ provider: openai, model: kept }]
    # The simulator's vectors tell a text by its first eight letters.
    cache: { ttl: 5m, semantic: { embedding_model: vectors, threshold: 0.999 } }
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }
    context_window: 100000
    max_output_tokens: 4000
  vectors:
    targets: [{ provider: openai, model: text-embedding-3-small }]
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 0 }
    context_window: 8000
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

  const recorded = async (answer: Response) => {
    const id = answer.headers.get("x-weir-request-id") ?? "";
    await expect.poll(async () => (await outcomesById(operator)).get(id)?.length, { timeout: 20_000 }).toBe(1);
    return (await outcomesById(operator)).get(id)?.[0]?.result;
  };

  test.each(FACES.flatMap((face) => [false, true].map((stream) => [face, stream] as const)))(
    "$name, stream %s: a question in other words gets the same bytes, for its vector's price",
    async (face: Face, stream) => {
      const chats = (): number => whole.simulator.ledger.filter(({ path }) => !path.endsWith("/embeddings")).length;
      let round = 0;
      let first = new Response();
      let text = "";
      let again = new Response();
      // Until its schema is there, nothing is kept.
      await expect
        .poll(
          async () => {
            whole.simulator.reset();
            const more = `${face.path} `.repeat(++round);
            first = await ask(whole.weir, face.path, face.body("alike", `tell me what it is: ${more}`, stream));
            text = await first.text();
            again = await ask(whole.weir, face.path, face.body("alike", `tell me please what it is: ${more}`, stream));
            const same = (await again.text()) === text;
            return same && again.headers.get("x-weir-cache");
          },
          { timeout: 30_000 },
        )
        .toBe("semantic-hit");
      expect(first.headers.get("x-weir-cache")).toBe("miss");
      expect(Number(again.headers.get("x-weir-cache-similarity"))).toBeGreaterThan(0.999);
      expect(Number(again.headers.get("age"))).toBeLessThan(60);
      expect(Number(again.headers.get("x-weir-cache-saved-usd"))).toBeGreaterThan(0);
      expect(chats()).toBe(1);
      const result = await recorded(again);
      expect(result).toMatchObject({
        attempts: [{ attempt: 5, model: "text-embedding-3-small", billing: router.Billing.CHARGED }],
        cache: { hit: true, kind: router.CacheKind.SEMANTIC },
      });
      expect(result?.costNanos).toBeGreaterThan(0n);
      expect(result?.cache?.similarity).toBeGreaterThan(0.999);

      // What it cost is what is charged, and nothing is left held.
      const before = await settled();
      const third = await ask(
        whole.weir,
        face.path,
        face.body("alike", `tell me what it may be: ${round} ${"x ".repeat(round)}`, stream),
      );
      await third.text();
      const cost = (await recorded(third))?.costNanos ?? 0n;
      expect((await settled()) - before).toBe(cost);
    },
    60_000,
  );

  test.each(FACES.flatMap((face) => [false, true].map((stream) => [face, stream] as const)))(
    "$name, stream %s: a client's cache-control counts, and the record tells it",
    async (face: Face, stream) => {
      const body = face.body("kept", `anew ${face.path} ${stream}`, stream);
      const miss = router.CacheMiss;
      for (const [headers, word, why] of [
        [{ "cache-control": "no-store" }, "bypass", miss.BYPASS],
        [{ "x-weir-cache": "off" }, "bypass", miss.BYPASS],
        [{}, "miss", miss.ABSENT],
        [{ "cache-control": "no-cache" }, "bypass", miss.BYPASS],
      ] as const) {
        const answer = await ask(whole.weir, face.path, body, { headers });
        await answer.text();
        expect(answer.headers.get("x-weir-cache")).toBe(word);
        expect((await recorded(answer))?.cache).toMatchObject({ hit: false, miss: why });
      }
      expect(whole.simulator.ledger).toHaveLength(4);
      const hit = await ask(whole.weir, face.path, body, { headers: { "cache-control": "max-age=3600" } });
      await hit.text();
      expect(hit.headers.get("x-weir-cache")).toBe("hit");
      // Ages are compared to the millisecond.
      await new Promise((resolve) => setTimeout(resolve, 5));
      const stale = await ask(whole.weir, face.path, body, { headers: { "cache-control": "max-age=0" } });
      await stale.text();
      expect(stale.headers.get("x-weir-cache")).toBe("stale");
      expect(whole.simulator.ledger).toHaveLength(5);
    },
    60_000,
  );

  test("embeddings obey it, too, and none of Weir's words is passed over", async () => {
    const body = { model: "vectors", input: "x" };
    const plain = await ask(whole.weir, "/v1/embeddings", body);
    expect(plain.headers.get("x-weir-cache")).toBe("none");
    const wrong = await ask(whole.weir, "/v1/chat/completions", (FACES[0] as Face).body("kept", "x"), {
      headers: { "x-weir-cache": "always" },
    });
    expect(wrong.status).toBe(400);
    expect(await wrong.json()).toMatchObject({ error: { code: "invalid_request", param: "x-weir-cache" } });
  });

  test("the list of models tells what they can do, and what they cost", async () => {
    const answer = await fetch(`${whole.weir.httpUrl}/v1/models/kept`, {
      headers: { authorization: `Bearer ${whole.weir.key}` },
    });
    expect(await answer.json()).toMatchObject({
      id: "kept",
      object: "model",
      context_window: 100_000,
      max_output_tokens: 4_000,
      providers: ["openai"],
      price: { input_usd_per_mtok: "1", output_usd_per_mtok: "2" },
    });
    const known = await fetch(`${whole.weir.httpUrl}/v1/models/gpt-4o-mini`, {
      headers: { authorization: `Bearer ${whole.weir.key}` },
    });
    expect(await known.json()).toMatchObject({ capabilities: expect.arrayContaining(["tools", "images"]) as unknown });
  });
});
