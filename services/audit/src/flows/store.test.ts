import { WeirError } from "@weir/kernel";
import { expect, test } from "vitest";
import { KIND, type LogRecord, NO_ATTRIBUTES } from "../domain/record.ts";
import type { LogWriter } from "../ports.ts";
import { storeAll } from "./store.ts";

const record = (number: number): LogRecord => ({
  producer: "p",
  number,
  kind: KIND.outcome,
  intentProducer: "",
  intentNumber: 0,
  header: new Uint8Array(1),
  payload: new Uint8Array(0),
  payloadOmitted: false,
  attributes: NO_ATTRIBUTES,
  predecessor: undefined,
});

const records = (count: number): LogRecord[] => Array.from({ length: count }, (_, index) => record(index + 1));
const away = (): WeirError => new WeirError("audit_unavailable", "away");

function harness(append: LogWriter["append"]) {
  const waits: number[] = [];
  const quarantined: number[] = [];
  const deps = {
    log: { append },
    events: {
      stored: () => undefined,
      storeAway: () => undefined,
      quarantined: (refused: LogRecord) => void quarantined.push(refused.number),
    },
    nowMs: () => 42,
    wait: (ms: number) => {
      waits.push(ms);
      return Promise.resolve();
    },
  };
  return { deps, waits, quarantined };
}

test("resolves when all is stored, in order, at most 600 records at once", async () => {
  const sizes: number[] = [];
  const stored: number[] = [];
  const { deps } = harness((chunk) => {
    sizes.push(chunk.length);
    stored.push(...chunk.map(({ number }) => number));
    return Promise.resolve(chunk.length);
  });
  await storeAll(records(1_201), deps);
  expect(sizes).toEqual([600, 600, 1]);
  expect(stored).toEqual(records(1_201).map(({ number }) => number));
});

test("waits longer and longer while the store is away, then goes on where it was", async () => {
  const stored: number[] = [];
  let failures = 8;
  const { deps, waits } = harness((chunk) => {
    if (stored.length > 0 && failures-- > 0) return Promise.reject(away());
    stored.push(...chunk.map(({ number }) => number));
    return Promise.resolve(chunk.length);
  });
  await storeAll(records(700), deps);
  expect(waits).toEqual([50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
  expect(stored).toEqual(records(700).map(({ number }) => number));
});

test("records the store refuses are quarantined, and those around them are stored as they are", async () => {
  const stored = new Map<number, number>();
  const poison = new Set([3, 77, 78, 500]);
  const { deps, quarantined } = harness((chunk) => {
    const bad = chunk.some(({ number, kind }) => poison.has(number) && kind !== KIND.quarantined);
    if (bad) return Promise.reject(new Error("invalid input"));
    for (const { number, kind } of chunk) stored.set(number, kind);
    return Promise.resolve(chunk.length);
  });
  await storeAll(records(500), deps);
  expect(quarantined).toEqual([...poison]);
  expect(stored.size).toBe(500);
  expect([...stored].filter(([, kind]) => kind === KIND.quarantined).map(([number]) => number)).toEqual([...poison]);
});

test("never resolves for what is not stored: it rejects when the service ends, or when even the bytes are refused", async () => {
  const ended = harness(() => Promise.reject(away()));
  const end = new Error("the service ends");
  await expect(storeAll(records(2), { ...ended.deps, wait: () => Promise.reject(end) })).rejects.toBe(end);
  const refusing = harness(() => Promise.reject(new Error("no")));
  await expect(storeAll(records(2), refusing.deps)).rejects.toThrow("no");
  const reading = harness((chunk) => Promise.resolve(chunk.length));
  const broken = (function* () {
    yield* records(600);
    throw new Error("a defect in reading");
  })();
  await expect(storeAll(broken, reading.deps)).rejects.toThrow("a defect in reading");
});
