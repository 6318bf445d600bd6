import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Batch,
  type Bus,
  decodeFrames,
  deadLetter,
  type DeadLetters,
  jetStreamBus,
  type JetStreamBusOptions,
  jetStreamDeadLetters,
  startRelay,
} from "../src/index.ts";
import { batch, busContract } from "./bus.contract.ts";
import { deadLettersContract } from "./dead-letters.contract.ts";
import { type NatsServer, natsServer } from "./nats-server.ts";
import { NONE, open, scratch, text, until } from "./support.ts";
import { TestLog } from "./test-log.ts";

let server: NatsServer;
let streams = 0;
beforeAll(async () => {
  server = await natsServer();
  await server.start();
});
afterAll(() => server[Symbol.asyncDispose]());

/** A stream that no other test has seen. */
function fresh() {
  streams += 1;
  return { stream: `T${streams}`, subject: `t${streams}.records`, maxBytes: 64 << 20 };
}

/** Until it is connected. */
async function soon<T>(task: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      return await task();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** As a relay publishes: while the connection is being made, it tries again. */
async function publishSoon(bus: Bus, one: Batch): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 10))) {
    const taken = await bus.publish(one).then(
      () => true,
      () => false,
    );
    if (taken) return;
  }
  throw new Error("the bus did not come");
}

/** A bus that is connected, and on whose stream a first batch (number 0) was. */
async function connected(more: Partial<JetStreamBusOptions> = {}): Promise<Bus> {
  const bus = jetStreamBus({ url: server.url, ...fresh(), ...more });
  await publishSoon(bus, batch(0, 0));
  return bus;
}

/** One whose stream is empty. */
async function emptyBus(): Promise<Bus> {
  const options = fresh();
  await (await connected(options))[Symbol.asyncDispose]();
  const connection = await connect({ servers: server.url });
  await (await jetstreamManager(connection)).streams.purge(options.stream);
  await connection.close();
  const bus = jetStreamBus({ url: server.url, ...options });
  let first: Promise<void> | undefined;
  return {
    // The first batch waits for the connection; from then on nothing is between the contract and the bus.
    async publish(one) {
      if (first === undefined) return await (first = publishSoon(bus, one));
      await first;
      return await bus.publish(one);
    },
    subscribe: (consumer, handler, how) => bus.subscribe(consumer, handler, how),
    [Symbol.asyncDispose]() {
      first ??= Promise.resolve();
      return bus[Symbol.asyncDispose]();
    },
  };
}

busContract("JetStream", emptyBus);

/** One whose stream is empty, and that is connected. */
async function emptyLetters(): Promise<DeadLetters> {
  const { stream, subject } = fresh();
  const store = jetStreamDeadLetters({ url: server.url, stream: `${stream}_DEAD`, subject: `${subject}.dead` });
  await soon(() => store.list(0, 1));
  return store;
}

deadLettersContract("JetStream", emptyLetters);

describe("JetStream's dead letters", () => {
  it("reject soon while NATS is away, and are there again when it is", { timeout: 60_000 }, async () => {
    await using own = await natsServer();
    await using store = jetStreamDeadLetters({ url: own.url });
    const letter = deadLetter("evaluation", batch(1), "why", Date.now());
    await expect(store.put([letter])).rejects.toMatchObject({ name: "BusUnavailableError" });
    await own.start();
    await soon(() => store.put([letter]));
    await own.kill();
    const lost = Date.now();
    await expect(store.list(0, 10)).rejects.toMatchObject({ name: "BusUnavailableError" });
    expect(Date.now() - lost).toBeLessThan(10_000);
    await own.start();
    expect((await soon(() => store.list(0, 10))).letters.map(({ id }) => id)).toEqual([letter.id]);
  });
});

describe("the JetStream bus", () => {
  it("rejects soon while NATS is away, at boot and later, and works when it comes", { timeout: 60_000 }, async () => {
    await using own = await natsServer();
    await using bus = jetStreamBus({ url: own.url, ...fresh() });
    const got: number[] = [];
    const subscription = await bus.subscribe(
      "audit",
      async (batches) => void got.push(...batches.map(({ first }) => first)),
    );
    const before = Date.now();
    await expect(bus.publish(batch(1))).rejects.toMatchObject({ name: "BusUnavailableError" });
    expect(Date.now() - before).toBeLessThan(2_000);
    for (const number of [2, 3, 4]) {
      await own.start();
      await publishSoon(bus, batch(number));
      await until(() => got.includes(number), `number ${number} is delivered`, 30_000);
      await own.kill();
      // What was under way must be told, and soon.
      const lost = Date.now();
      await expect(bus.publish(batch(100 + number))).rejects.toMatchObject({ name: "BusUnavailableError" });
      expect(Date.now() - lost).toBeLessThan(10_000);
      if (number === 3) own.wipe();
    }
    expect(subscription.deadLetters).toBe(0);
  });

  it("drops a batch that it has, but not another one with the same range", async () => {
    await using bus = await connected();
    const got: string[] = [];
    await bus.subscribe("audit", async (batches) => {
      for (const { first, data } of batches) if (first > 0) got.push(Buffer.from(data).toString());
    });
    const one = { ...batch(1), data: text("one") };
    await bus.publish(one);
    await bus.publish(one);
    await bus.publish({ ...one, data: text("two") });
    await bus.publish(batch(2, 1));
    await until(() => got.length >= 3, "they are delivered");
    expect(got).toEqual(["one", "two", "\u0002"]);
  });

  it("waits for a handler that takes longer than the time to acknowledge", { timeout: 30_000 }, async () => {
    await using bus = await connected({ ackWaitMs: 600 });
    let calls = 0;
    await bus.subscribe("audit", async (batches) => {
      if (!batches.some(({ first }) => first === 7)) return;
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    });
    await bus.publish(batch(7));
    await until(() => calls === 1, "it is delivered");
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    expect(calls).toBe(1);
  });

  it("loses nothing of a spool while NATS is killed over and over, and once loses its disk", {
    timeout: 120_000,
  }, async () => {
    await using own = await natsServer();
    await own.start();
    const directory = scratch();
    const log = new TestLog();
    await using bus = jetStreamBus({ url: own.url, ...fresh(), publishTimeoutMs: 1_000 });
    await bus.subscribe("audit", (batches) => log.store(batches));
    const spool = await open(directory, { segmentBytes: 20_000 });
    await using relay = startRelay({
      directory,
      bus,
      watermarks: (producers) => log.watermarks(producers),
      watermarkMs: 50,
      resendAfterMs: 1_000,
      retryMs: 20,
      batchFrames: 20,
      openAfterMs: 500,
    });
    let running = true;
    let acknowledged = 0;
    const load = async (): Promise<void> => {
      while (running) {
        const intent = await spool.intent(text("an intent"), NONE, 100);
        await new Promise((resolve) => setTimeout(resolve, 1));
        await spool.outcome(intent, text("an outcome"), NONE);
        acknowledged += 1;
      }
    };
    const loads = Array.from({ length: 8 }, load);
    for (let round = 0; round < 4; round += 1) {
      const shipped = relay.shippedFrames;
      await until(() => relay.shippedFrames > shipped + 100, "something is shipped", 30_000);
      await own.kill();
      if (round === 2) own.wipe();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await own.start();
    }
    running = false;
    await Promise.all(loads);
    await spool.close();
    const last = 2 * acknowledged + 2;
    await until(() => log.contiguous(spool.producer) >= last, "all is in the log", 60_000);
    const outcomes = log.headers(spool.producer).filter((header) => header === "an outcome");
    expect(outcomes).toHaveLength(acknowledged);
    await until(() => relay.unconfirmed === 0, "all is confirmed");
  });

  it("ships over the wire what decodes to the same frames", async () => {
    await using bus = await connected();
    const got: string[] = [];
    await bus.subscribe("audit", async (batches) => {
      for (const { data } of batches)
        got.push(...decodeFrames(data).frames.map(({ header }) => Buffer.from(header).toString()));
    });
    const directory = scratch();
    const spool = await open(directory);
    await using relay = startRelay({
      directory,
      bus,
      watermarks: () => Promise.reject(new Error("away")),
      firstWatermarkMs: 0,
    });
    await spool.note(4, text("refusal"));
    await spool.close();
    expect(await relay.flush(10_000)).toBe(true);
    await until(() => got.length === 3, "they are delivered");
    expect(got).toEqual(["open", "refusal", "close"]);
  });
});
