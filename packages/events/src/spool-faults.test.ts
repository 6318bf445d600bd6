import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../test/faulty-files.ts";
import { NONE, onDisk, open, scratch, text, until } from "../test/support.ts";
import { listEpochs, listSegments } from "./epoch-directory.ts";
import { FRAME_KIND, FRAME_OVERHEAD } from "./frame.ts";
import { decodeFrames } from "./frames.ts";
import { framesOf } from "./recovery.ts";

const REFUSED = { reason: "audit_unavailable", retryAfterMs: 1_000 };
const numbersOf = (lines: string[]): number[] => lines.map((line) => Number(line.split(" ")[0]));
const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);
/** Without the probe's marks, which come when they come. */
const records = (lines: string[]): string[] =>
  lines.filter((line) => !line.includes(" 5 mark")).map((line) => line.split(" ").at(-1) ?? "");

/** Whether any segment has bytes that are no frame. */
const damageIn = (directory: string): boolean =>
  listEpochs(directory).some(({ path }) =>
    listSegments(path).some(({ name }) =>
      decodeFrames(readFileSync(join(path, name))).frames.some(({ kind }) => kind === FRAME_KIND.quarantined),
    ),
  );

const bytesIn = (path: string): number =>
  listSegments(path).reduce((sum, { name }) => sum + statSync(join(path, name)).size, 0);

describe("a spool whose disk", () => {
  it("takes a few bytes at a time is none the worse for it", async () => {
    const directory = scratch();
    const files = new FaultyFiles();
    files.shortBytes = 7;
    const spool = await open(directory, { files });
    const intents = await Promise.all([1, 2, 3].map((at) => spool.intent(text(`i${at}`), NONE, 0)));
    expect(intents).toEqual([2, 3, 4]);
    await spool.close();
    expect(records(onDisk(directory, spool.producer))).toEqual(["open", "i1", "i2", "i3", "close"]);
  });

  for (const failTruncate of [false, true]) {
    it(`is full refuses intents, keeps outcomes, and goes on by itself${failTruncate ? " (and nothing can be taken back)" : ""}`, async () => {
      const directory = scratch();
      const files = new FaultyFiles();
      const spool = await open(directory, { files, probeMs: 10 });
      const intent = await spool.intent(text("i1"), NONE, 0);
      files.failTruncate = failTruncate;
      // In the middle of the first frame of the three that are written together.
      files.room = 13;
      const late = spool.intent(text("i2"), NONE, 0);
      const outcome = spool.outcome(intent, text("o1"), NONE);
      const later = spool.intent(text("i3"), NONE, 0);
      await expect(late).rejects.toMatchObject(REFUSED);
      await expect(later).rejects.toMatchObject(REFUSED);
      expect(spool.failed).toMatchObject(REFUSED);
      await expect(spool.intent(text("i4"), NONE, 0)).rejects.toMatchObject(REFUSED);
      await expect(spool.note(4, text("r"))).rejects.toMatchObject(REFUSED);
      await new Promise((resolve) => setTimeout(resolve, 50));
      files.room = Number.POSITIVE_INFINITY;
      await outcome;
      expect(spool.failed).toBeUndefined();
      const next = await spool.intent(text("i5"), NONE, 0);
      await spool.outcome(next, text("o5"), NONE);
      await spool.close();
      const lines = onDisk(directory, spool.producer);
      expect(records(lines)).toEqual(["open", "i1", "o1", "i5", "o5", "close"]);
      expect(numbersOf(lines)).toEqual(upTo(lines.length));
      expect(await outcome).toBe(3);
      expect(damageIn(directory)).toBe(failTruncate);
    });
  }

  it("is full keeps the whole frames that a write got through", async () => {
    const directory = scratch();
    const files = new FaultyFiles();
    const spool = await open(directory, { files, probeMs: 10 });
    files.room = 28 * 2 + 5;
    const tried = await Promise.allSettled([1, 2, 3].map((at) => spool.intent(text(`i${at}`), NONE, 0)));
    expect(tried.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    files.room = Number.POSITIVE_INFINITY;
    await until(() => spool.failed === undefined, "recovered");
    await spool.close();
    const lines = onDisk(directory, spool.producer);
    expect(records(lines)).toEqual(["open", "i1", "i2", "close"]);
    expect(numbersOf(lines)).toEqual(upTo(lines.length));
  });

  it("fails for long lets the caller of an outcome go, and writes it all the same", async () => {
    const directory = scratch();
    const files = new FaultyFiles();
    const spool = await open(directory, { files, probeMs: 10, outcomeWaitMs: 30 });
    const intent = await spool.intent(text("i"), NONE, 0);
    files.room = 0;
    await expect(spool.outcome(intent, text("o"), NONE)).rejects.toMatchObject(REFUSED);
    files.room = Number.POSITIVE_INFINITY;
    await until(() => spool.failed === undefined, "recovered");
    await spool.close();
    expect(records(onDisk(directory, spool.producer))).toEqual(["open", "i", "o", "close"]);
  });

  it("cannot make another segment is a disk that fails, and recovers", async () => {
    const directory = scratch();
    const files = new FaultyFiles();
    const spool = await open(directory, { files, probeMs: 10, segmentBytes: 10 });
    files.failCreate = true;
    await expect(spool.intent(text("i"), NONE, 0)).rejects.toMatchObject(REFUSED);
    files.failCreate = false;
    await until(() => spool.failed === undefined, "recovered");
    await spool.intent(text("j"), NONE, 0);
    await spool.close();
    expect(records(onDisk(directory, spool.producer))).toEqual(["open", "j", "close"]);
  });

  it("fails while a dead epoch is recovered leads to no second outcome when that is tried again", async () => {
    const directory = scratch();
    const dead = await open(directory);
    await dead.intent(text("i"), NONE, 0);
    await dead.close();
    const files = new FaultyFiles();
    const spool = await open(directory, { files, probeMs: 10, outcomeWaitMs: 0 });
    const intent = { producer: dead.producer, number: 2 };
    files.room = 0;
    await expect(spool.resolve(intent, text("unknown"))).rejects.toMatchObject(REFUSED);
    const again = spool.resolve(intent, text("unknown"));
    files.room = Number.POSITIVE_INFINITY;
    await again;
    await spool.resolve(intent, text("unknown"));
    await spool.close();
    expect(records(onDisk(directory, spool.producer)).filter((header) => header === "unknown")).toHaveLength(1);
  });

  it("still fails at the end is told to who closes it, and the next start recovers", async () => {
    const directory = scratch();
    const files = new FaultyFiles();
    const spool = await open(directory, { files });
    await spool.intent(text("i"), NONE, 0);
    files.room = 0;
    await expect(spool.close()).rejects.toMatchObject({ reason: "audit_unavailable" });
    const next = await open(directory);
    expect(next.recovered.map(({ lastNumber, open: intents }) => [lastNumber, intents.length])).toEqual([[2, 1]]);
    await next.close();
  });
});

describe("strict mode", () => {
  it("syncs before every acknowledgement, and groups what comes while it does", async () => {
    const files = new FaultyFiles();
    files.syncMs = 10;
    const directory = scratch();
    const spool = await open(directory, { files, strict: true });
    const [epoch] = listEpochs(directory);
    // The names of all folders down to the segment, and of the segment in it.
    expect(files.syncedFolders).toEqual([join(directory, "a-0"), directory, epoch?.path]);
    const first = files.syncs;
    let acknowledged = 0;
    /** What is written up to a record, at least: each has one byte, "open" has four. */
    const bytesTo = (number: number): number => FRAME_OVERHEAD + 4 + (number - 1) * (FRAME_OVERHEAD + 1);
    const worker = async (): Promise<void> => {
      for (let at = 0; at < 5; at += 1) {
        const intent = await spool.intent(text("i"), NONE, 0);
        // Of a sync that began when this record was written already, not of any that ended meanwhile.
        expect(files.synced).toBeGreaterThanOrEqual(bytesTo(intent));
        const outcome = await spool.outcome(intent, text("o"), NONE);
        expect(files.synced).toBeGreaterThanOrEqual(bytesTo(outcome));
        acknowledged += 2;
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    expect(acknowledged).toBe(200);
    expect(files.syncs - first).toBeLessThanOrEqual(24);
    await spool.close();
  });

  it("does not trust a file again that could not be synced", async () => {
    const directory = scratch();
    const files = new FaultyFiles();
    const spool = await open(directory, { files, strict: true, probeMs: 10 });
    const intent = await spool.intent(text("i1"), NONE, 0);
    files.failSync = true;
    files.syncMs = 10;
    const refused = spool.intent(text("i2"), NONE, 0);
    const outcome = spool.outcome(intent, text("o1"), NONE);
    await new Promise((resolve) => setImmediate(resolve));
    // These came while the sync was under way, and were not written yet.
    const waiting = spool.intent(text("i3"), NONE, 0);
    await expect(refused).rejects.toMatchObject(REFUSED);
    await expect(waiting).rejects.toMatchObject(REFUSED);
    files.failSync = false;
    expect(await outcome).toBe(4);
    expect(spool.failed).toBeUndefined();
    expect(await spool.intent(text("i4"), NONE, 0)).toBe(5);
    await spool.close();
    const place = listEpochs(directory)[0];
    expect(listSegments(place?.path ?? "").length).toBeGreaterThan(1);
    expect(records(onDisk(directory, spool.producer))).toEqual(["open", "i1", "i2", "o1", "i4", "close"]);
    // i2 was refused and is on disk, i4 was never answered: both are unknown to the next start.
    const next = await open(directory);
    expect(next.recovered[0]?.open.map(({ number }) => number)).toEqual([3, 5]);
    await next.close();
  });
});

describe("the size bound", () => {
  const maxBytes = 256 << 10;

  it("refuses intents, has room for every outcome that was promised it, and opens when the relay has deleted", async () => {
    const directory = scratch();
    const spool = await open(directory, { maxBytes });
    const open1: number[] = [];
    for (;;) {
      const [tried] = await Promise.allSettled([spool.intent(new Uint8Array(1_000), NONE, 1_000)]);
      if (tried.status === "rejected") {
        expect(tried.reason).toMatchObject(REFUSED);
        break;
      }
      open1.push(tried.value);
    }
    expect(open1.length).toBeGreaterThan(100);
    for (const number of open1) await spool.outcome(number, new Uint8Array(1_000), new Uint8Array(5_000));
    expect(spool.bytes).toBeLessThanOrEqual(maxBytes);
    expect(bytesIn(listEpochs(directory)[0]?.path ?? "")).toBe(spool.bytes);
    expect(spool.depth).toBe(0);
    const place = listEpochs(directory)[0];
    const outcomes = place === undefined ? [] : [...framesOf(place)].filter(({ kind }) => kind === 3);
    expect(outcomes).toHaveLength(open1.length);
    expect(outcomes.every(({ payloadOmitted, payload }) => payloadOmitted === (payload.length === 0))).toBe(true);
    expect(outcomes.at(-1)?.payloadOmitted).toBe(true);
    expect(spool.failed).toBeUndefined();
    for (const { name } of listSegments(place?.path ?? "").slice(0, 3)) rmSync(join(place?.path ?? "", name));
    await until(() => spool.bytes < maxBytes - 10_000, "the deleted bytes are seen");
    await spool.intent(new Uint8Array(1_000), NONE, 1_000);
    await spool.close();
  });

  it("leaves out the payload of an intent before it refuses it, and any that is larger than a message may be", async () => {
    const directory = scratch();
    const spool = await open(directory, { maxBytes });
    await spool.intent(text("large"), new Uint8Array(maxBytes), 100);
    await spool.close();
    const wide = await open(directory, { instance: "b" });
    await wide.intent(text("huge"), new Uint8Array(2 << 20), 100);
    await expect(wide.intent(new Uint8Array(1 << 20), NONE, 100)).rejects.toMatchObject({ reason: "internal" });
    await wide.close();
    for (const place of listEpochs(directory)) {
      const intent = [...framesOf(place)].find(({ kind }) => kind === 2);
      expect([intent?.payloadOmitted, intent?.payload.length]).toEqual([true, 0]);
    }
  });

  it("counts what dead epochs left", async () => {
    const directory = scratch();
    const dead = await open(directory);
    await dead.note(4, new Uint8Array(300_000));
    await dead.close();
    const spool = await open(directory, { maxBytes });
    expect(spool.bytes).toBeGreaterThan(300_000);
    await expect(spool.intent(NONE, NONE, 0)).rejects.toMatchObject(REFUSED);
    await spool.close();
  });
});
