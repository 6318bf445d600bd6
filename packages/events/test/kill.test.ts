import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { listEpochs } from "../src/epoch-directory.ts";
import { FRAME_KIND } from "../src/index.ts";
import { framesOf } from "../src/recovery.ts";
import { open, scratch, textOf } from "./support.ts";

const KILLS = 12;

/** Runs until killed. @returns what it told */
async function runAndKill(directory: string, mode: string, afterLines: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "kill-child.ts"), directory, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  let killed = false;
  child.stdout.on("data", (data: Buffer) => {
    output += data.toString("latin1");
    if (killed || output.split("\n").length <= afterLines) return;
    killed = true;
    child.kill("SIGKILL");
  });
  const [, signal] = await once(child, "close");
  expect(signal).toBe("SIGKILL");
  return output.split("\n").slice(0, -1);
}

/** Requests with an outcome on disk, and how often each has one. */
function outcomes(directory: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const place of listEpochs(directory)) {
    let last = 0;
    for (const { kind, number, header } of framesOf(place)) {
      expect(number).toBe(last + 1);
      last = number;
      if (kind === FRAME_KIND.outcome) found.set(textOf(header), (found.get(textOf(header)) ?? 0) + 1);
    }
  }
  return found;
}

it(`has every acknowledged record after ${KILLS} SIGKILLs, and one outcome for every intent`, {
  timeout: 120_000,
}, async () => {
  const directory = scratch();
  const told: string[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) told.push(...(await runAndKill(directory, "", 50 + 130 * kill)));
  const spool = await open(directory);
  for (const { producer, open: intents } of spool.recovered) {
    for (const { number, header } of intents) {
      await spool.resolve({ producer, number }, Buffer.from(`unknown ${textOf(header)}`));
    }
    spool.recoveredDone(producer);
  }
  await spool.close();
  const found = outcomes(directory);
  expect(told.length).toBeGreaterThan(KILLS * 50);
  expect(told.filter((request) => !found.has(request))).toEqual([]);
  expect([...found.values()].every((count) => count === 1)).toBe(true);
  const intents = listEpochs(directory).flatMap((place) =>
    [...framesOf(place)].flatMap(({ kind, header }) => (kind === FRAME_KIND.intent ? [textOf(header)] : [])),
  );
  // Known, or known to be unknown; never both.
  const wrong = intents.filter((request) => found.has(request) === found.has(`unknown ${request}`));
  expect(wrong).toEqual([]);
});

it("would lose some if it answered first, so that the test above can fail", { timeout: 120_000 }, async () => {
  let missing = 0;
  for (let kill = 0; kill < 20 && missing === 0; kill += 1) {
    const directory = scratch();
    const told = await runAndKill(directory, "answer-first", 40 + 7 * kill);
    const found = outcomes(directory);
    missing += told.filter((request) => !found.has(request)).length;
  }
  expect(missing).toBeGreaterThan(0);
});
