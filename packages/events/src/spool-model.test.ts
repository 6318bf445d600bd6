import fc from "fast-check";
import { expect, it } from "vitest";
import { FaultyFiles } from "../test/faulty-files.ts";
import { NONE, open, scratch, text, textOf } from "../test/support.ts";
import { listEpochs } from "./epoch-directory.ts";
import type { Spool } from "./index.ts";
import { framesOf } from "./recovery.ts";

/*
 * The spool against a list: what it acknowledged is found after a crash at any byte, with its number; numbers have no gap; and an intent is
 * open exactly if no outcome of it reached the disk. The crash is a disk that takes so many bytes and then none, while the process is given up.
 */
type Step =
  | { readonly do: "intent"; readonly bytes: number }
  | { readonly do: "outcome"; readonly of: number }
  | { readonly do: "note" }
  | { readonly do: "turn" }
  | { readonly do: "hiccup"; readonly room: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("intent" as const), bytes: fc.nat(60) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("outcome" as const), of: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ do: "note" as const }) },
  { weight: 3, arbitrary: fc.constant({ do: "turn" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hiccup" as const), room: fc.nat(90) }) },
);
const life = fc.record({
  steps: fc.array(step, { maxLength: 40 }),
  diesAfter: fc.oneof(fc.nat(1_500), fc.constant(Number.POSITIVE_INFINITY)),
  strict: fc.boolean(),
});

interface Reference {
  readonly producer: string;
  readonly acknowledged: Map<number, string>;
  readonly intents: Set<number>;
  /** Intents for which an outcome was given to the spool, and those where that was acknowledged. */
  readonly attempted: Set<number>;
  readonly answered: Set<number>;
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

async function live(spool: Spool, files: FaultyFiles, steps: readonly Step[], name: string): Promise<Reference> {
  const reference: Reference = {
    producer: spool.producer,
    acknowledged: new Map(),
    intents: new Set(),
    attempted: new Set(),
    answered: new Set(),
  };
  const take = (promise: Promise<number>, header: string, then: (number: number) => void): void => {
    promise.then(
      (number) => {
        expect(reference.acknowledged.has(number)).toBe(false);
        reference.acknowledged.set(number, header);
        then(number);
      },
      (error: unknown) => expect(error).toMatchObject({ reason: "audit_unavailable" }),
    );
  };
  for (const [at, one] of steps.entries()) {
    const header = `${name}.${at}`;
    if (one.do === "intent") {
      const payload = new Uint8Array(one.bytes);
      take(spool.intent(text(header), payload, 10), header, (number) => reference.intents.add(number));
    }
    if (one.do === "note") take(spool.note(4, text(header)), header, () => undefined);
    if (one.do === "turn") await turn();
    if (one.do === "hiccup") await hiccup(files, one.room);
    const intent =
      one.do === "outcome" ? [...reference.intents][one.of % Math.max(1, reference.intents.size)] : undefined;
    if (intent !== undefined && !reference.attempted.has(intent)) {
      reference.attempted.add(intent);
      take(spool.outcome(intent, text(header), NONE), header, () => reference.answered.add(intent));
    }
  }
  await turn();
  return reference;
}

/** For a moment there is room for so many bytes only. */
async function hiccup(files: FaultyFiles, room: number): Promise<void> {
  const total = files.room;
  const allowed = Math.min(room, total);
  files.room = allowed;
  await turn();
  files.room += total - allowed;
  await turn();
  await turn();
}

it("finds all that it acknowledged, whatever byte the crash comes at, over several lives", {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 3 }), async (lives) => {
      const directory = scratch();
      const references: Reference[] = [];
      for (const [at, { steps, diesAfter, strict }] of lives.entries()) {
        const files = new FaultyFiles();
        const spool = await open(directory, { files, strict, segmentBytes: 300, probeMs: 1, outcomeWaitMs: 0 });
        const last = references.at(-1);
        if (last !== undefined) expectRecovered(spool, last);
        for (const { producer } of spool.recovered) spool.recoveredDone(producer);
        files.room = diesAfter;
        references.push(await live(spool, files, steps, String(at)));
        files.room = Math.min(files.room, 0);
        await spool.close().catch((error: unknown) => expect(error).toMatchObject({ reason: "audit_unavailable" }));
        // Whatever was still told by the end is as good as told.
        await turn();
      }
      const end = await open(directory);
      const last = references.at(-1);
      if (last !== undefined) expectRecovered(end, last);
      await end.close();
      for (const reference of references) expectOnDisk(directory, reference);
    }),
    { numRuns: 60 },
  );
});

function expectOnDisk(directory: string, { producer, acknowledged }: Reference): void {
  const place = listEpochs(directory).find((one) => one.producer === producer);
  const frames = place === undefined ? [] : [...framesOf(place)];
  expect(frames.map(({ number }) => number)).toEqual(frames.map((_, at) => at + 1));
  for (const [number, header] of acknowledged) expect(textOf(frames[number - 1]?.header ?? NONE)).toBe(header);
}

function expectRecovered(spool: Spool, { producer, acknowledged, intents, attempted, answered }: Reference): void {
  const listed = spool.recovered.find((dead) => dead.producer === producer);
  expect(listed).toBeDefined();
  for (const number of acknowledged.keys()) expect(number).toBeLessThanOrEqual(listed?.lastNumber ?? 0);
  const open = new Map(listed?.open.map(({ number, header }) => [number, textOf(header)]));
  for (const intent of intents) {
    if (!attempted.has(intent)) expect(open.get(intent)).toBe(acknowledged.get(intent));
    if (answered.has(intent)) expect(open.has(intent)).toBe(false);
  }
}
