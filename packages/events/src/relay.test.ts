import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NONE, open, scratch, text, textOf, until } from "../test/support.ts";
import { TestLog } from "../test/test-log.ts";
import { listEpochs, listSegments, readCarry, type EpochPlace } from "./epoch-directory.ts";
import {
  type Bus,
  BusUnavailableError,
  type Frame,
  memoryBus,
  type Relay,
  type RelayOptions,
  startRelay,
} from "./index.ts";
import { decodeFrames } from "./frames.ts";

const FAST = { pollMs: 2, watermarkMs: 5, retryMs: 1, openAfterMs: 60_000 };

const start = (directory: string, bus: Bus, log: TestLog, more: Partial<RelayOptions> = {}): Relay =>
  startRelay({ directory, bus, watermarks: (producers) => log.watermarks(producers), ...FAST, ...more });

const segmentsOf = (place: EpochPlace | undefined): string[] => listSegments(place?.path ?? "").map(({ name }) => name);
const kinds = (frames: readonly Frame[]): number[] => frames.map(({ kind }) => kind);

describe("the relay", () => {
  it("ships an intent and its outcome as one, and everything else as it is", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    await using relay = start(directory, bus, log);
    const spool = await open(directory);
    await spool.outcome(await spool.intent(text("i"), NONE, 0), text("o"), NONE);
    await spool.note(4, text("r"));
    await spool.outcome(await spool.intent(text("with payload"), text("p"), 0), text("o"), NONE);
    await spool.close();
    await until(() => log.contiguous(spool.producer) === 7, "all is in the log");
    expect(log.headers(spool.producer)).toEqual(["open", "o", "r", "with payload", "o", "close"]);
    expect(relay.shippedFrames).toBe(6);
    await until(() => relay.unconfirmed === 0 && relay.lagBytes === 0, "nothing is left");
    expect(relay.lastError).toBeUndefined();
  });

  it("ships an intent alone when its outcome takes its time, and deletes its segment all the same", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    await using relay = start(directory, bus, log, { openAfterMs: 20 });
    const spool = await open(directory, { segmentBytes: 100 });
    const place = listEpochs(directory)[0];
    const long = await spool.intent(text("long"), NONE, 0);
    const other = await spool.intent(text("other"), NONE, 0);
    const [first] = segmentsOf(place);
    for (let at = 0; at < 5; at += 1) await spool.note(4, text("something that fills a segment"));
    await until(() => !segmentsOf(place).includes(first ?? ""), "its segment is deleted");
    const carried = (): string[] =>
      place === undefined ? [] : decodeFrames(readCarry(place)).frames.map(({ header }) => textOf(header));
    expect(carried()).toEqual(["long", "other"]);
    await spool.outcome(other, text("o"), NONE);
    for (let at = 0; at < 5; at += 1) await spool.note(4, text("something that fills a segment"));
    await until(() => carried().length === 1, "what has its outcome is carried no more");
    expect(carried()).toEqual(["long"]);
    expect(relay.lastError).toBeUndefined();
    await spool.close();
    const next = await open(directory);
    expect(next.recovered[0]?.open.map(({ number, header }) => [number, textOf(header)])).toEqual([[long, "long"]]);
    await next.close();
  });

  it("removes a dead epoch when it is confirmed, recovered, and named by the next one", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    await using relay = start(directory, bus, log);
    const first = await open(directory);
    await first.intent(text("i"), NONE, 0);
    await first.close();
    await until(() => log.contiguous(first.producer) === 3, "all is in the log");
    const folder = listEpochs(directory)[0]?.path ?? "";
    await until(() => segmentsOf(listEpochs(directory)[0]).length === 0, "its segments are gone");
    const second = await open(directory);
    expect(second.recovered.map(({ lastNumber, open: intents }) => [lastNumber, intents.length])).toEqual([[3, 1]]);
    await second.resolve({ producer: first.producer, number: 2 }, text("unknown"));
    await until(() => log.contiguous(second.producer) === 2, "its outcome is in the log");
    expect(existsSync(folder)).toBe(true);
    second.recoveredDone(first.producer);
    await until(() => !existsSync(folder), "it is removed");
    expect(log.frames(second.producer).map(({ origin, ref }) => [origin, ref])).toEqual([
      ["", 0],
      [first.producer, 2],
    ]);
    await second.close();
    expect(relay.lastError).toBeUndefined();
  });

  it("knows the outcome of a carried intent that came after the carrying", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    const relay = start(directory, bus, log, { openAfterMs: 5 });
    const spool = await open(directory, { segmentBytes: 60 });
    const place = listEpochs(directory)[0];
    const answered = await spool.intent(text("answered"), NONE, 0);
    await spool.intent(text("open"), NONE, 0);
    for (let at = 0; at < 5; at += 1) await spool.note(4, text("something that fills a segment"));
    await until(() => place !== undefined && decodeFrames(readCarry(place)).frames.length === 2, "both are carried");
    await relay[Symbol.asyncDispose]();
    await spool.outcome(answered, text("o"), NONE);
    await spool.close();
    const next = await open(directory);
    expect(next.recovered[0]?.open.map(({ header }) => textOf(header))).toEqual(["open"]);
    // A relay that begins now knows it, too, and says so when it deletes the outcome's segment.
    await using _second = start(directory, bus, log, { openAfterMs: 5 });
    await until(() => place !== undefined && segmentsOf(place).length === 0, "all is deleted");
    expect(
      place === undefined ? [] : decodeFrames(readCarry(place)).frames.map(({ header }) => textOf(header)),
    ).toEqual(["open"]);
    await next.close();
  });

  it("keeps the folder of an epoch that ended well until the next one has named it", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    await using _relay = start(directory, bus, log);
    const first = await open(directory);
    await first.close();
    const folder = listEpochs(directory)[0]?.path ?? "";
    await until(() => segmentsOf(listEpochs(directory)[0]).length === 0, "its segments are deleted");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(existsSync(folder)).toBe(true);
    const second = await open(directory);
    await until(() => !existsSync(folder), "it is removed");
    await until(() => log.contiguous(second.producer) === 1, "the second one is shipped");
    expect(log.headers(second.producer)).toEqual([`open ${first.producer} 2`]);
    await second.close();
  });

  it("gives up no batch that the bus rejects, and sends the oldest first", async () => {
    const directory = scratch();
    const spool = await open(directory);
    for (let at = 0; at < 30; at += 1) await spool.note(4, text("r"));
    let rejections = 12;
    const taken: number[] = [];
    const bus: Bus = {
      async publish({ first }) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (rejections-- > 0) throw new BusUnavailableError("away");
        taken.push(first);
      },
      subscribe: () => Promise.reject(new Error("not here")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const watermarks = (): Promise<never> => Promise.reject(new Error("away, too"));
    await using relay = startRelay({ directory, bus, ...FAST, watermarks, firstWatermarkMs: 0, batchFrames: 1 });
    await until(() => relay.lastError instanceof BusUnavailableError, "it says so");
    await until(() => taken.length >= 31, "all are taken");
    expect(taken.slice(0, 31)).toEqual(Array.from({ length: 31 }, (_, at) => at + 1));
    await spool.close();
  });

  it("keeps segments until their outcomes are settled", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    await using _relay = start(directory, bus, log);
    const spool = await open(directory, { segmentBytes: 100, settlements: true });
    const place = listEpochs(directory)[0];
    const outcome = await spool.outcome(await spool.intent(text("i"), NONE, 0), text("o"), NONE);
    for (let at = 0; at < 5; at += 1) await spool.note(4, text("something that fills a segment"));
    const [first] = segmentsOf(place);
    await until(() => log.contiguous(spool.producer) === 8, "all is in the log");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(segmentsOf(place)).toContain(first);
    spool.settled(outcome);
    await until(() => !segmentsOf(place).includes(first ?? ""), "its segment is deleted");
    await spool.close();
  });

  it("keeps segments that answer for a dead epoch until that is recovered", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    const dead = await open(directory);
    await dead.intent(text("i"), NONE, 0);
    await dead.close();
    const spool = await open(directory, { segmentBytes: 60 });
    const place = listEpochs(directory).find(({ producer }) => producer === spool.producer);
    await spool.resolve({ producer: dead.producer, number: 2 }, text("unknown"));
    for (let at = 0; at < 5; at += 1) await spool.note(4, text("something that fills a segment"));
    const [first] = segmentsOf(place);
    await using _relay = start(directory, bus, log);
    await until(() => log.contiguous(spool.producer) === 7, "all is in the log");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(segmentsOf(place)).toContain(first);
    spool.recoveredDone(dead.producer);
    await until(() => !segmentsOf(place).includes(first ?? ""), "its segment is deleted");
    await spool.close();
  });

  it("loses nothing over a bus that rejects, delays, repeats, swaps and forgets", async () => {
    const faults = fc.infiniteStream(
      fc.constantFrom("ok", "ok", "ok", "reject", "reject but take", "twice", "delay", "forget"),
    );
    await fc.assert(
      fc.asyncProperty(faults, fc.integer({ min: 1, max: 60 }), async (fault, count) => {
        const directory = scratch();
        const log = new TestLog();
        let well = false;
        const bus: Bus = {
          async publish(batch) {
            const what = well ? "ok" : fault.next().value;
            if (what === "reject") throw new BusUnavailableError("away");
            if (what === "delay") await new Promise((resolve) => setTimeout(resolve, 5));
            if (what !== "forget") await log.store([batch]);
            if (what === "twice") await log.store([batch]);
            if (what === "reject but take") throw new BusUnavailableError("no answer");
          },
          subscribe: () => Promise.reject(new Error("not here")),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        };
        const spool = await open(directory, { segmentBytes: 400 });
        await using relay = start(directory, bus, log, { resendAfterMs: 20, batchFrames: 3, openAfterMs: 5 });
        const headers: string[] = [];
        for (let at = 0; at < count; at += 1) {
          const intent = await spool.intent(text(`i${at}`), NONE, 10);
          headers.push(`o${at}`);
          await spool.outcome(intent, text(`o${at}`), NONE);
          if (at % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
          if (at > count / 2) well = true;
        }
        await spool.close();
        well = true;
        await until(() => log.contiguous(spool.producer) === 2 * count + 2, "all is in the log");
        expect(log.headers(spool.producer).filter((header) => header.startsWith("o") && header !== "open")).toEqual(
          headers,
        );
        const place = listEpochs(directory)[0];
        await until(() => segmentsOf(place).length === 0, "all is deleted");
        expect(relay.unconfirmed).toBe(0);
      }),
      { numRuns: 15 },
    );
  });

  it("keeps the order of each producer while nothing is rejected", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    const seen: number[] = [];
    await bus.subscribe("audit", async (batches) => {
      for (const { data } of batches) seen.push(...decodeFrames(data).frames.map(({ number }) => number));
      await log.store(batches);
    });
    const spool = await open(directory);
    await Promise.all(Array.from({ length: 500 }, () => spool.note(4, text("r"))));
    await using relay = start(directory, bus, log, { batchFrames: 7 });
    expect(await relay.flush(10_000)).toBe(true);
    await until(() => seen.length === 501, "all is there");
    expect(seen).toEqual(Array.from({ length: 501 }, (_, at) => at + 1));
    await spool.close();
  });

  it("does not send again what the log has already, and sends all when the log cannot be asked", async () => {
    const directory = scratch();
    const spool = await open(directory);
    for (let at = 0; at < 9; at += 1) await spool.note(4, text("r"));
    await spool.close();
    const sent: number[] = [];
    await using bus = memoryBus();
    await bus.subscribe("audit", async (batches) => {
      for (const { data } of batches) sent.push(...decodeFrames(data).frames.map(({ number }) => number));
    });
    const answer = (contiguous: number) => async (producers: string[]) =>
      producers.map((producer) => ({ producer, contiguous }));
    const first = startRelay({ directory, bus, ...FAST, watermarks: answer(6) });
    await until(() => sent.length === 5, "the rest is sent");
    expect(sent).toEqual([7, 8, 9, 10, 11]);
    await first[Symbol.asyncDispose]();
    sent.length = 0;
    const watermarks = (): Promise<never> => Promise.reject(new Error("the log is away"));
    await using second = startRelay({ directory, bus, ...FAST, watermarks, firstWatermarkMs: 50 });
    await until(() => sent.length === 11, "all is sent");
    expect(second.lastError).toMatchObject({ message: "the log is away" });
  });

  it("sends again, ever more rarely, what the log does not get", async () => {
    const directory = scratch();
    const spool = await open(directory);
    let published = 0;
    const bus: Bus = {
      publish: async () => void (published += 1),
      subscribe: () => Promise.reject(new Error("not here")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    await using _relay = start(directory, bus, new TestLog(), { resendAfterMs: 40 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    // At 40, 120, 280 and 600 ms.
    expect(published).toBeGreaterThan(1);
    expect(published).toBeLessThan(7);
    await spool.close();
  });

  it("works one at a time on a directory", async () => {
    const directory = scratch();
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    const first = start(directory, bus, log);
    const spool = await open(directory);
    await until(() => first.shippedFrames === 1, "the first one works");
    await using second = start(directory, bus, log);
    await spool.note(4, text("r"));
    await until(() => log.contiguous(spool.producer) === 2, "it is shipped");
    expect(second.shippedFrames).toBe(0);
    await first[Symbol.asyncDispose]();
    await spool.note(4, text("r"));
    await until(() => log.contiguous(spool.producer) === 3, "the second one has taken over");
    await spool.close();
  });

  it("tells the log what is damaged or gone on the disk, with the numbers that are missing", async () => {
    const directory = scratch();
    const spool = await open(directory, { segmentBytes: 200 });
    for (let at = 0; at < 20; at += 1) await spool.note(4, text(`note number ${at}`));
    await spool.close();
    const place = listEpochs(directory)[0];
    const names = segmentsOf(place);
    const path = (at: number): string => join(place?.path ?? "", names[at] ?? "");
    const bytes = readFileSync(path(0));
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    writeFileSync(path(0), bytes);
    rmSync(path(1));
    appendFileSync(path(2), "torn, but followed by what comes next");
    const log = new TestLog();
    await using bus = memoryBus();
    await bus.subscribe("audit", (batches) => log.store(batches));
    await using relay = start(directory, bus, log);
    await until(() => log.contiguous(spool.producer) === 22, "all is accounted for");
    const damaged = log.quarantined(spool.producer);
    expect(damaged).toHaveLength(2);
    expect(damaged[0]).toMatchObject({ number: 2, ref: 2 });
    expect(damaged[0]?.header.length).toBeGreaterThan(20);
    expect(damaged[1]?.header.length).toBe(0);
    expect(damaged[1]?.ref).toBeGreaterThan(damaged[1]?.number ?? 0);
    expect(kinds(log.frames(spool.producer))).not.toContain(7);
    expect(relay.lastError).toBeUndefined();
  });

  it("goes on behind a segment that somebody deletes under it", async () => {
    const directory = scratch();
    const log = new TestLog();
    let away = true;
    const bus: Bus = {
      async publish(batch) {
        if (away) throw new BusUnavailableError("away");
        await log.store([batch]);
      },
      subscribe: () => Promise.reject(new Error("not here")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const spool = await open(directory, { segmentBytes: 100 });
    for (let at = 0; at < 20; at += 1) await spool.note(4, text(`note number ${at}`));
    await using _relay = start(directory, bus, log, { window: 1, batchFrames: 1 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const place = listEpochs(directory)[0];
    rmSync(join(place?.path ?? "", segmentsOf(place)[3] ?? ""));
    away = false;
    await until(() => log.contiguous(spool.producer) === 21, "all is accounted for");
    expect(log.quarantined(spool.producer).map(({ header }) => header.length)).toEqual([0]);
    await spool.close();
  });

  it("waits for a directory that is not there yet, and ends at once while it waits for bus or log", async () => {
    const directory = join(scratch(), "later");
    const bus: Bus = {
      publish: () => new Promise(() => undefined),
      subscribe: () => Promise.reject(new Error("not here")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const relay = startRelay({
      directory,
      bus,
      ...FAST,
      firstWatermarkMs: 0,
      watermarks: () => new Promise(() => undefined),
    });
    const spool = await open(directory);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = Date.now();
    await relay[Symbol.asyncDispose]();
    expect(Date.now() - before).toBeLessThan(2_000);
    await spool.close();
  });
});
