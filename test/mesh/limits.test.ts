/** Rate limits as clients see them: what runs at a time, tokens by kind, each provider, turns that are waited for, and what the headers say. */
import { setTimeout as sleep } from "node:timers/promises";
import { policy } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CHAT = "/v1/chat/completions";
const MODEL = (name: string, targets: string): string => `  ${name}:
    targets: [${targets}]
    price: { input_usd_per_mtok: 0, output_usd_per_mtok: 1 }
    context_window: 100000
    max_output_tokens: 1000
`;
const ONE = "{ provider: compatible, model: one }";
const OTHER = "{ provider: openai, model: other }";
const CONFIG = MODEL("m-one", ONE) + MODEL("m-two", `${ONE}, ${OTHER}`) + MODEL("m-scarce", ONE);
const { LimitSubject, LimitUnit } = policy;
const MINUTE = 60_000n;

interface Terms {
  readonly per: policy.LimitSubject;
  readonly unit: policy.LimitUnit;
  readonly amount: bigint;
  readonly windowMs?: bigint;
  readonly burst?: bigint;
  readonly failClosed?: boolean;
  readonly only?: string;
  readonly queue?: { maxWaitMs: number; maxLength: number; weights: Record<string, number> };
}

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    whole = await bootWhole(composition, { config: CONFIG });
    operator = operatorOf(whole.weir);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());

  let made = 0;
  const chat = (model = "m-one", more: object = {}): object => ({
    model,
    max_tokens: 10,
    messages: [{ role: "user", content: "hi" }],
    ...more,
  });
  const codeOf = async (answer: Response): Promise<string> =>
    answer.ok ? "" : ((await answer.json()) as { error: { code: string } }).error.code;

  /** A key with limits that its ingress knows of. */
  async function limitedKey(...limits: Terms[]): Promise<{ id: string; secret: string }> {
    const { key, secret } = await operator.policy.createKey({ name: `l${(made += 1)}` });
    const id = key?.id ?? "";
    for (const terms of limits)
      await operator.policy.putLimit({ place: { place: { case: "key", value: id } }, ...terms });
    // Pushed at once; the grace is for a busy machine.
    await expect
      .poll(() => ask(whole.weir, "/v1/models", "", { key: secret }).then(({ status }) => status))
      .not.toBe(401);
    await sleep(700);
    return { id, secret };
  }

  test("as many run at a time as may, in streams and whole; who ends, breaks off or leaves makes room", async () => {
    const { secret } = await limitedKey({ per: LimitSubject.KEY, unit: LimitUnit.CONCURRENCY, amount: 2n });
    whole.simulator.script({ behaviour: { delayMs: 600 } });
    const at = Array.from({ length: 6 }, () => ask(whole.weir, CHAT, chat(), { key: secret }));
    const answers = await Promise.all(at);
    expect(answers.filter(({ ok }) => ok)).toHaveLength(2);
    const refused = answers.find(({ ok }) => !ok) as Response;
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("x-ratelimit-limit-concurrency")).toBe("2");
    expect(refused.headers.get("x-ratelimit-remaining-concurrency")).toBe("0");
    expect(refused.headers.get("ratelimit-policy")).toMatch(/^"concurrency-per-key-\d+";q=2;qu="concurrent-requests"$/);
    expect(await codeOf(refused)).toBe("rate_limited");
    const served = (): Promise<number> => ask(whole.weir, CHAT, chat(), { key: secret }).then(({ status }) => status);
    whole.simulator.script({ behaviour: {} });
    await expect.poll(served, { timeout: 5_000 }).toBe(200);
    await sleep(200);
    // Clients that leave in the middle of their streams.
    whole.simulator.script({ behaviour: { words: 200, trickleMs: 20 } });
    for (let i = 0; i < 2; i += 1) {
      const gone = new AbortController();
      const stream = await ask(whole.weir, CHAT, chat("m-one", { stream: true, max_tokens: 300 }), {
        key: secret,
        signal: gone.signal,
      });
      expect(stream.status).toBe(200);
      gone.abort();
    }
    whole.simulator.script({ behaviour: {} });
    await expect.poll(served, { timeout: 5_000 }).toBe(200);
  });

  test("input and output tokens are limited apart, taken by the estimate and corrected by what was used", async () => {
    const { secret } = await limitedKey(
      { per: LimitSubject.KEY, unit: LimitUnit.OUTPUT_TOKENS, amount: 1000n, windowMs: 3_600_000n, burst: 999n },
      { per: LimitSubject.KEY, unit: LimitUnit.INPUT_TOKENS, amount: 1_000_000n, windowMs: 3_600_000n },
    );
    whole.simulator.script({ behaviour: { words: 5 } });
    const first = await ask(whole.weir, CHAT, chat("m-one", { max_tokens: 900 }), { key: secret });
    expect(first.status).toBe(200);
    expect(first.headers.get("x-ratelimit-limit-output-tokens")).toBe("1000");
    expect(first.headers.get("x-ratelimit-remaining-output-tokens")).toBe("100");
    expect(Number(first.headers.get("x-ratelimit-remaining-input-tokens"))).toBeGreaterThan(1000);
    // Once it is settled, 895 of the 900 are there again.
    await expect
      .poll(async () => (await ask(whole.weir, CHAT, chat("m-one", { max_tokens: 900 }), { key: secret })).status, {
        timeout: 5_000,
      })
      .toBe(200);
    const never = await ask(whole.weir, CHAT, chat("m-one", { max_tokens: 2500 }), { key: secret });
    expect(await codeOf(never)).toBe("rate_limited");
  });

  test("headers say when to come back, to the second", async () => {
    const { secret } = await limitedKey(
      { per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, amount: 20n, windowMs: MINUTE, burst: 0n },
      { per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, amount: 1000n, windowMs: 3_600_000n },
    );
    const first = await ask(whole.weir, CHAT, chat("m-echo"), { key: secret });
    const admittedMs = Date.now();
    expect(first.headers.get("x-ratelimit-limit-requests")).toBe("20");
    expect(first.headers.get("x-ratelimit-remaining-requests")).toBe("0");
    expect(first.headers.get("x-ratelimit-reset-requests")).toBe("3s");
    expect(first.headers.get("ratelimit-policy")).toMatch(
      /^"requests-per-key-\d+";q=20;w=60, "requests-per-key-\d+";q=1000;w=3600$/,
    );
    expect(first.headers.get("ratelimit")).toMatch(
      /^"requests-per-key-\d+";r=0;t=3, "requests-per-key-\d+";r=100;t=4$/,
    );
    const refused = await ask(whole.weir, CHAT, chat("m-echo"), { key: secret });
    expect(refused.status).toBe(429);
    const waitS = Number(refused.headers.get("retry-after"));
    expect(waitS).toBe(3);
    await sleep(admittedMs + 2_000 - Date.now());
    expect((await ask(whole.weir, CHAT, chat("m-echo"), { key: secret })).status).toBe(429);
    await sleep(admittedMs + waitS * 1_000 - Date.now());
    expect((await ask(whole.weir, CHAT, chat("m-echo"), { key: secret })).status).toBe(200);
  });

  describe("of each provider", () => {
    test("whose limit is reached is passed over for the next, without an attempt; when all are, the shortest wait is told", async () => {
      const perProvider = { per: LimitSubject.PROVIDER, unit: LimitUnit.REQUESTS, windowMs: MINUTE, burst: 1n };
      const { secret } = await limitedKey(
        { ...perProvider, amount: 2n, only: "compatible" },
        { ...perProvider, amount: 6n, only: "openai" },
        { per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, amount: 5n, windowMs: 3_600_000n, burst: 4n },
      );
      const served: (string | null)[] = [];
      for (let i = 0; i < 4; i += 1) {
        const answer = await ask(whole.weir, CHAT, chat("m-two"), { key: secret });
        expect(answer.headers.get("x-weir-attempts")).toBe("1");
        served.push(answer.headers.get("x-weir-provider"));
      }
      expect(served).toEqual(["compatible", "compatible", "openai", "openai"]);
      expect(whole.simulator.ledger).toHaveLength(4);
      // A refusal takes nothing of the other limits: the key's fifth request stays.
      for (let i = 0; i < 3; i += 1) {
        const refused = await ask(whole.weir, CHAT, chat("m-two"), { key: secret });
        expect(await codeOf(refused)).toBe("rate_limited");
        expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(10);
        await sleep(50);
      }
      expect(whole.simulator.ledger).toHaveLength(4);
      const elsewhere = await ask(whole.weir, CHAT, chat("m-echo"), { key: secret });
      expect(elsewhere.status).toBe(200);
      expect(elsewhere.headers.get("x-ratelimit-remaining-requests")).toBe("0");
    });

    test("as many run there at a time as may; streams fail over, too", async () => {
      const { secret } = await limitedKey({
        per: LimitSubject.PROVIDER,
        unit: LimitUnit.CONCURRENCY,
        amount: 1n,
        only: "compatible",
      });
      whole.simulator.script({ behaviour: { delayMs: 400 } });
      const stream = { stream: true };
      const answers = await Promise.all(
        Array.from({ length: 3 }, () => ask(whole.weir, CHAT, chat("m-two", stream), { key: secret })),
      );
      await Promise.all(answers.map((answer) => answer.text()));
      const served = answers.map((answer) => answer.headers.get("x-weir-provider"));
      expect([served.filter((name) => name === "compatible").length, served.includes(null)]).toEqual([1, false]);
      await expect
        .poll(
          async () => {
            const answer = await ask(whole.weir, CHAT, chat("m-two"), { key: secret });
            return answer.headers.get("x-weir-provider");
          },
          { timeout: 5_000 },
        )
        .toBe("compatible");
    });
  });

  describe("where a limit queues", () => {
    const organization = { place: { case: "organization", value: "default" } } as const;
    const workspaces = { heavy: `heavy-${composition}`, light: `light-${composition}` };
    const keys: Record<string, string> = {};
    beforeAll(async () => {
      for (const [name, workspace] of Object.entries(workspaces)) {
        await operator.policy.createWorkspace({ name: workspace });
        keys[name] = (await operator.policy.createKey({ workspace, name })).secret;
      }
      await operator.policy.putLimit({
        place: organization,
        per: LimitSubject.MODEL,
        unit: LimitUnit.REQUESTS,
        amount: 20n,
        windowMs: 1_000n,
        burst: 0n,
        only: "m-scarce",
        queue: { maxWaitMs: 20_000, maxLength: 60, weights: { [workspaces.light]: 3 } },
      });
      await sleep(700);
    });
    const scarce = (name: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
      ask(whole.weir, CHAT, chat("m-scarce"), { key: keys[name] ?? "", headers, ...(signal && { signal }) });

    test("nobody fails at once: turns go to workspaces by weight, and one that floods holds up nobody else", async () => {
      const order: string[] = [];
      const run = async (name: string): Promise<void> => {
        const answer = await scarce(name);
        await answer.text();
        expect(answer.status).toBe(200);
        order.push(name);
      };
      const heavy = Array.from({ length: 40 }, () => run("heavy"));
      await sleep(200);
      const others = ask(whole.weir, CHAT, chat("m-one"), { key: keys["light"] ?? "" });
      const startedMs = Date.now();
      expect((await others).status).toBe(200);
      expect(Date.now() - startedMs).toBeLessThan(1_000);
      const light = Array.from({ length: 12 }, () => run("light"));
      await Promise.all([...heavy, ...light]);
      const first = order.indexOf("light");
      // Three of four, with room for what is on its way.
      expect(order.slice(first, first + 12).filter((name) => name === "light").length).toBeGreaterThanOrEqual(7);
      expect(order.at(-1)).toBe("heavy");
    });

    test("a request may say that it does not wait, or for how long", async () => {
      // 20 go at once, and those behind them wait for two seconds.
      const flood = Array.from({ length: 60 }, () => scarce("heavy").then((answer) => answer.text()));
      await sleep(300);
      const startedMs = Date.now();
      const impatient = await scarce("light", { "x-weir-max-wait-ms": "0" });
      expect(await codeOf(impatient)).toBe("rate_limited");
      expect(Number(impatient.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(Date.now() - startedMs).toBeLessThan(1_000);
      const wrong = await scarce("light", { "x-weir-priority": "high" });
      expect(await codeOf(wrong)).toBe("invalid_request");
      await Promise.all(flood);
    });

    test("clients that go away while they wait make room at once", async () => {
      const flood = Array.from({ length: 10 }, () => scarce("heavy").then((answer) => answer.text()));
      await sleep(150);
      const gone = new AbortController();
      const leaving = Array.from({ length: 45 }, () => scarce("heavy", {}, gone.signal).catch(() => undefined));
      await sleep(150);
      gone.abort();
      await Promise.all(leaving);
      const served = whole.simulator.ledger.length;
      expect((await scarce("heavy")).status).toBe(200);
      await Promise.all(flood);
      // Those of the flood that waited, that one, and what was on its way; not the others, which would have come before it.
      expect(whole.simulator.ledger.length - served).toBeLessThanOrEqual(20);
    });
  });
});
