/** A request with an Idempotency-Key runs once, whoever asks how often; its answer is given again, and charged once. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ingress } from "@weir/contracts";
import { type BackingService, COMPOSITIONS, startNats, startPostgres, startRedis } from "@weir/testkit";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Face, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const chat = FACES[0] as Face;
const CONFIG = `workspaces:
  default:
    budgets: [{ period: total, limit_usd: 1000, hard: true }]
`;

describe.each(COMPOSITIONS)("%s", (composition) => {
  const scratch = mkdtempSync(join(tmpdir(), "weir-idempotency-"));
  const env: Record<string, string> = {};
  const backing: BackingService[] = [];
  const boot = (): Promise<Whole> => bootWhole(composition, { dataDir: join(scratch, "data"), env, config: CONFIG });
  let whole: Whole;
  beforeAll(async () => {
    if (composition === "mesh") {
      // A mesh's stores outlive it.
      const [postgres, redis, nats] = await Promise.all([startPostgres({ durable: true }), startRedis(), startNats()]);
      backing.push(postgres, redis, nats);
      Object.assign(env, { WEIR_DATABASE_URL: postgres.url, WEIR_REDIS_URL: redis.url, WEIR_NATS_URL: nats.url });
    }
    whole = await boot();
  });
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    for (const service of backing) await service[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  });

  const keyed = (key: string) => ({ headers: { "idempotency-key": key } });
  const calls = (): number => whole.simulator.ledger.length;
  const spent = async (): Promise<{ spent: bigint; held: bigint } | undefined> => {
    const { budgets } = await operatorOf(whole.weir).policy.listBudgets({});
    return budgets[0] && { spent: budgets[0].spent, held: budgets[0].held };
  };
  async function settled(): Promise<bigint> {
    await expect.poll(async () => (await spent())?.held, { timeout: 15_000 }).toBe(0n);
    return (await spent())?.spent ?? 0n;
  }

  for (const face of FACES) {
    test.each([false, true])(`${face.name}: the answer is given again, stream: %s`, async (stream) => {
      whole.simulator.reset();
      const key = randomUUID();
      const body = face.body("m-openai", "hello", stream);
      const first = await ask(whole.weir, face.path, body, keyed(key));
      expect(first.status).toBe(200);
      const text = await first.text();
      const before = await settled();
      const second = await ask(whole.weir, face.path, body, keyed(key));
      expect(second.status).toBe(200);
      expect(second.headers.get("content-type")).toBe(first.headers.get("content-type"));
      expect(second.headers.get("idempotent-replayed")).toBe("true");
      const id = first.headers.get("x-weir-request-id") ?? "";
      expect(second.headers.get("x-weir-replay-of")).toBe(id);
      expect(second.headers.get("x-weir-request-id")).not.toBe(id);
      expect(second.headers.get("x-weir-provider")).toBe("openai");
      expect(second.headers.get("x-weir-cost-usd")).toBeNull();
      expect(await second.text()).toBe(text);
      if (stream) expect(text).toMatch(face.ending);
      expect(calls()).toBe(1);
      expect(await settled()).toBe(before);
      const replayed = second.headers.get("x-weir-request-id") ?? "";
      const look = async () =>
        (await outcomesById(operatorOf(whole.weir)))
          .get(replayed)
          ?.map(({ replayOf, result }) => [replayOf, result?.attempts.length, result?.costNanos]);
      await expect.poll(look, { timeout: 20_000 }).toEqual([[id, 0, 0n]]);
    });
  }

  test("embeddings: the answer is given again", async () => {
    whole.simulator.reset();
    const key = randomUUID();
    const body = { model: "openai/text-embedding-3-small", input: "hello" };
    const first = await ask(whole.weir, "/v1/embeddings", body, keyed(key));
    expect(first.status).toBe(200);
    const second = await ask(whole.weir, "/v1/embeddings", body, keyed(key));
    expect([second.status, await second.text()]).toEqual([200, await first.text()]);
    expect(calls()).toBe(1);
  });

  test("of twenty at once one is sent; the others are told to wait, and then get its answer", async () => {
    whole.simulator.reset();
    whole.simulator.script({ behaviour: { delayMs: 700 } });
    const key = randomUUID();
    const send = async () => {
      const answer = await ask(whole.weir, chat.path, chat.body("m-openai", "at once"), keyed(key));
      return { status: answer.status, retry: answer.headers.get("retry-after"), text: await answer.text() };
    };
    const answers = await Promise.all(Array.from({ length: 20 }, send));
    const told = answers.filter(({ status }) => status === 409);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20 - told.length);
    expect(told.length).toBeGreaterThan(0);
    for (const { text, retry } of told) {
      expect(JSON.parse(text)).toMatchObject({ error: { code: "request_running" } });
      expect(retry).toBe("1");
    }
    expect((await send()).status).toBe(200);
    expect(calls()).toBe(1);
    whole.simulator.reset();
  });

  test("another body, or another route, under one key is an error; another Weir key's is its own", async () => {
    whole.simulator.reset();
    const key = randomUUID();
    await (await ask(whole.weir, chat.path, chat.body("m-openai", "one"), keyed(key))).text();
    const other = await ask(whole.weir, chat.path, chat.body("m-openai", "two"), keyed(key));
    expect([other.status, await other.json()]).toMatchObject([422, { error: { code: "idempotency_mismatch" } }]);
    const route = await ask(whole.weir, "/v1/chat", chat.body("m-openai", "one"), keyed(key));
    expect(route.status).toBe(422);
    expect(calls()).toBe(1);
    const { secret } = await operatorOf(whole.weir).policy.createKey({ name: randomUUID().slice(0, 8) });
    const asOther = () =>
      ask(whole.weir, chat.path, chat.body("m-openai", "two"), { ...keyed(key), key: secret }).then(async (answer) => {
        await answer.text();
        return answer.status;
      });
    await expect.poll(asOther, { timeout: 5_000 }).toBe(200);
    expect(calls()).toBe(2);
    const strange = await ask(whole.weir, chat.path, chat.body("m-openai", "x"), keyed("x".repeat(256)));
    expect(strange.status).toBe(400);
  });

  test("a failure is not kept, nor a stream that broke off: the next one runs", async () => {
    whole.simulator.reset();
    whole.simulator.script({ behaviour: { status: 400 }, times: 1 });
    const key = randomUUID();
    const body = chat.body("m-openai", "fails first");
    expect((await ask(whole.weir, chat.path, body, keyed(key))).status).toBe(400);
    expect((await ask(whole.weir, chat.path, body, keyed(key))).status).toBe(200);
    expect(calls()).toBe(2);
  });

  test("over RPC, whole and as a stream", async () => {
    whole.simulator.reset();
    const transport = createGrpcTransport({ baseUrl: whole.weir.rpcUrl });
    const client = createClient(ingress.GatewayService, transport);
    const headers = () => ({ authorization: `Bearer ${whole.weir.key}`, "idempotency-key": key });
    let key = randomUUID();
    const request = {
      chat: { model: "m-openai", messages: [{ role: 3, content: [{ part: { case: "text" as const, value: "hi" } }] }] },
    };
    const first = await client.createChat(request, { headers: headers() });
    const second = await client.createChat(request, { headers: headers() });
    expect(second.chat).toEqual(first.chat);
    expect(second.receipt).toMatchObject({ replayOf: first.receipt?.requestId, attempts: 0, costNanos: 0n });
    key = randomUUID();
    const read = async () => {
      const messages = [];
      for await (const { message } of client.streamChat(request, { headers: headers() })) messages.push(message);
      return messages;
    };
    const whole1 = await read();
    const whole2 = await read();
    expect(whole2.slice(0, -1)).toEqual(whole1.slice(0, -1));
    expect(whole2.at(-1)?.value).toMatchObject({ attempts: 0 });
    expect(calls()).toBe(2);
  });

  test("killed in the middle: refused as running until its lease is over, then a retry runs", async () => {
    whole.simulator.script({ behaviour: { delayMs: 60_000 }, times: 1 });
    const key = randomUUID();
    const body = chat.body("m-openai", "killed");
    const lost = ask(whole.weir, chat.path, body, keyed(key)).then(
      () => "answered",
      () => "lost",
    );
    await expect.poll(() => calls(), { timeout: 10_000 }).toBeGreaterThan(0);
    await whole.weir.kill();
    expect(await lost).toBe("lost");
    await whole[Symbol.asyncDispose]();
    whole = await boot();
    const statuses = new Set<number>();
    const retry = async (): Promise<number> => {
      const answer = await ask(whole.weir, chat.path, body, keyed(key));
      await answer.text();
      statuses.add(answer.status);
      return answer.status;
    };
    await expect.poll(retry, { timeout: 60_000, interval: 500 }).toBe(200);
    for (const status of statuses) expect([200, 409]).toContain(status);
    expect(calls()).toBe(1);
    expect(await retry()).toBe(200);
    expect(calls()).toBe(1);
  });
});
