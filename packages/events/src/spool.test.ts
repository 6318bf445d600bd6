import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NONE, onDisk, open, scratch, text, textOf } from "../test/support.ts";
import { listEpochs, listSegments } from "./epoch-directory.ts";
import { FRAME_KIND } from "./frame.ts";
import { type Spool, systemFiles } from "./index.ts";

/** As SIGKILL leaves it: nothing more is written, and the lock is free. */
async function die(spool: Spool, directory: string): Promise<void> {
  const place = listEpochs(directory).find(({ producer }) => producer === spool.producer);
  if (place === undefined) throw new Error("no such epoch");
  await spool.close();
  for (const name of ["sealed", "recovered"]) rmSync(join(place.path, name), { force: true });
}

describe("a spool", () => {
  it("writes its epoch from open to close, in numbers without a gap", async () => {
    const directory = scratch();
    const spool = await open(directory);
    const intent = await spool.intent(text("i"), NONE, 100);
    expect(intent).toBe(2);
    expect(await spool.note(FRAME_KIND.refusal, text("r"))).toBe(3);
    expect(await spool.outcome(intent, text("o"), text("payload"))).toBe(4);
    await spool.close();
    expect(onDisk(directory, spool.producer)).toEqual(["1 1 open", "2 2 i", "3 4 r", "4 3 ->2 o", "5 6 close"]);
    expect(spool.producer).toMatch(/^a\.0\.[0-9a-f]{16}$/);
  });

  it("writes the records of one turn with one write, and answers none before it", async () => {
    const directory = scratch();
    let writes = 0;
    const files = {
      ...systemFiles,
      write: (...args: Parameters<typeof systemFiles.write>) => (writes++, systemFiles.write(...args)),
    };
    const spool = await open(directory, { files });
    const before = writes;
    let answered = 0;
    const all = Array.from({ length: 50 }, (_, at) => spool.intent(text(`i${at}`), NONE, 0).then(() => answered++));
    await Promise.resolve();
    expect([writes - before, answered]).toEqual([0, 0]);
    await Promise.all(all);
    expect([writes - before, answered]).toEqual([1, 50]);
    await spool.close();
  });

  it("writes a mark now and then", async () => {
    const directory = scratch();
    const spool = await open(directory, { markEveryMs: 10 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await spool.close();
    expect(onDisk(directory, spool.producer).filter((line) => line.includes(" 5 mark")).length).toBeGreaterThan(1);
  });

  it("names the epoch before it, however that ended", async () => {
    const directory = scratch();
    const first = await open(directory);
    await first.close();
    const second = await open(directory);
    expect(onDisk(directory, second.producer)).toEqual([`1 1 open ${first.producer} 2`]);
    await second.intent(text("i"), NONE, 0);
    await die(second, directory);
    const third = await open(directory);
    expect(onDisk(directory, third.producer)).toEqual([`1 1 open ${second.producer} 3`]);
    await third.close();
  });

  it("refuses everything after its close", async () => {
    const spool = await open(scratch());
    await spool.close();
    await expect(spool.intent(NONE, NONE, 0)).rejects.toMatchObject({ reason: "shutting_down" });
    await expect(spool.outcome(1, NONE, NONE)).rejects.toMatchObject({ reason: "shutting_down" });
  });

  it("refuses an instance that is no file name, and a bound that holds nothing", async () => {
    await expect(open(scratch(), { instance: "../a" })).rejects.toThrow(RangeError);
    await expect(open(scratch(), { maxBytes: 1 })).rejects.toThrow(RangeError);
  });

  it("takes bounds beyond 32 bits", async () => {
    const directory = scratch();
    const spool = await open(directory, { maxBytes: 2 ** 40 });
    for (let at = 0; at < 5; at += 1) await spool.intent(text("i"), NONE, 0);
    expect(listSegments(listEpochs(directory)[0]?.path ?? "")).toHaveLength(1);
    await spool.close();
  });

  it("lists what a killed process left open, and cuts its torn tail", async () => {
    const directory = scratch();
    const dead = await open(directory);
    const [first, second] = await Promise.all([
      dead.intent(text("first"), text("secret"), 100),
      dead.intent(text("second"), NONE, 100),
    ]);
    await dead.outcome(first, text("done"), NONE);
    await die(dead, directory);
    const place = listEpochs(directory)[0];
    const last = join(place?.path ?? "", listSegments(place?.path ?? "").at(-1)?.name ?? "");
    const whole = readFileSync(last);
    appendFileSync(last, Buffer.from([200, 0, 0, 0, 1, 2, 3]));
    const spool = await open(directory);
    expect(spool.recovered.map(({ producer, lastNumber }) => [producer, lastNumber])).toEqual([[dead.producer, 5]]);
    expect(spool.recovered[0]?.open.map(({ number, header }) => [number, textOf(header)])).toEqual([
      [second, "second"],
    ]);
    expect(readFileSync(last).equals(whole)).toBe(true);
    await spool.close();
  });

  it("lists an open intent until it is resolved, even when the one who resolved it was killed before saying so", async () => {
    const directory = scratch();
    const dead = await open(directory);
    const [one, two] = await Promise.all([dead.intent(text("one"), NONE, 0), dead.intent(text("two"), NONE, 0)]);
    await die(dead, directory);
    const second = await open(directory);
    await second.resolve({ producer: dead.producer, number: one }, text("unknown"));
    await die(second, directory);
    const third = await open(directory);
    const listed = third.recovered.find(({ producer }) => producer === dead.producer);
    expect(listed?.open.map(({ number }) => number)).toEqual([two]);
    await third.resolve({ producer: dead.producer, number: two }, text("unknown"));
    for (const { producer } of third.recovered) third.recoveredDone(producer);
    expect(onDisk(directory, third.producer).at(-1)).toBe(`2 3 ->${dead.producer}:${two} unknown`);
    await die(third, directory);
    const fourth = await open(directory);
    expect(fourth.recovered.map(({ producer, open: intents }) => [producer, intents.length])).toEqual([
      [third.producer, 0],
    ]);
    await expect(fourth.resolve({ producer: dead.producer, number: one }, NONE)).rejects.toThrow(RangeError);
    await fourth.close();
  });

  it("recovers a dead epoch in one process only, and leaves living ones alone", async () => {
    const directory = scratch();
    const alive = await open(directory, { worker: 7 });
    const dead = await open(directory);
    await die(dead, directory);
    const [left, right] = await Promise.all([open(directory, { worker: 1 }), open(directory, { worker: 2 })]);
    expect([...left.recovered, ...right.recovered].map(({ producer }) => producer)).toEqual([dead.producer]);
    await Promise.all([left.close(), right.close(), alive.close()]);
  });

  it("closed with nothing open leaves nothing to recover; with something open it does", async () => {
    const directory = scratch();
    const clean = await open(directory);
    await clean.outcome(await clean.intent(NONE, NONE, 0), NONE, NONE);
    await clean.close();
    const second = await open(directory);
    expect(second.recovered).toEqual([]);
    await second.intent(text("i"), NONE, 0);
    await second.close();
    const third = await open(directory);
    expect(third.recovered.map(({ open: intents }) => intents.length)).toEqual([1]);
    third.recoveredDone(second.producer);
    await third.close({ unsettled: true });
    const fourth = await open(directory);
    expect(fourth.recovered.map(({ producer }) => producer)).toEqual([third.producer]);
    await fourth.close();
  });

  it("lists the outcomes that were not settled", async () => {
    const directory = scratch();
    const dead = await open(directory, { settlements: true, segmentBytes: 100 });
    const outcomes: number[] = [];
    for (let at = 0; at < 10; at += 1) {
      outcomes.push(await dead.outcome(await dead.intent(NONE, NONE, 0), text(`o${at}`), NONE));
    }
    dead.settled(outcomes[6] ?? 0);
    await die(dead, directory);
    const spool = await open(directory, { settlements: true });
    const unsettled = [...(spool.recovered[0]?.unsettled() ?? [])];
    expect(unsettled.map(({ number, intentNumber, header }) => [number, intentNumber, textOf(header)])).toEqual(
      [7, 8, 9].map((at) => [outcomes[at], (outcomes[at] ?? 0) - 1, `o${at}`]),
    );
    await spool.close();
  });

  it("begins without harm where a process was killed while it opened", async () => {
    const directory = scratch();
    const first = await open(directory);
    await first.close();
    const dead = await open(directory);
    const place = listEpochs(directory).find(({ producer }) => producer === dead.producer);
    await die(dead, directory);
    for (const { name } of listSegments(place?.path ?? "")) rmSync(join(place?.path ?? "", name));
    const third = await open(directory);
    // The one that never had a number 1 vouches for nobody, so it is not the one that is named.
    expect(onDisk(directory, third.producer)).toEqual([`1 1 open ${first.producer} 2`]);
    await third.close();
    expect(readdirSync(join(directory, "a-0")).some((name) => name.startsWith("."))).toBe(false);
    expect(existsSync(join(directory, ".opening"))).toBe(true);
  });
});
