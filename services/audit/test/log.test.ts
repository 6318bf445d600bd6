import { createHash } from "node:crypto";
import { audit } from "@weir/contracts";
import { leafHash, type Sha256 } from "@weir/proofs";
import type { DatabaseAddress } from "@weir/storage";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { recordOf } from "../src/adapters/header-reader.ts";
import { postgresLogReader } from "../src/adapters/postgres-log-reader.ts";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { type LogFilter, NO_FILTER } from "../src/domain/log-entry.ts";
import { conditions } from "../src/adapters/record-filter.ts";
import { KIND, type LogRecord } from "../src/domain/record.ts";
import { logBrowser } from "../src/flows/browse.ts";
import { frame, intentRecord, outcomeHeader, outcomeRecord, poolOf, prepared, requestId } from "./support.ts";

let server: BackingPostgres;
let database: DatabaseAddress;
let pool: ReturnType<typeof poolOf>;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await prepared(await server.freshDatabase());
  pool = poolOf(database, "weir_audit");
  return () => pool.end();
});

const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const append = (records: readonly LogRecord[]): Promise<number> => postgresLogWriter(pool).append(records);
const browser = () => logBrowser(postgresLogReader(pool), { open: () => Promise.resolve(new Map()) });
const everything = NO_FILTER;

/** A Fisher-Yates shuffle by a small seeded generator, so that a failure can be run again. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items];
  let state = seed;
  for (let index = result.length - 1; index > 0; index--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const other = state % (index + 1);
    [result[index], result[other]] = [result[other] as T, result[index] as T];
  }
  return result;
}

test("three deliveries of everything, shuffled, through concurrent consumers, leave each record once", async () => {
  const records = ["a", "b", "c"].flatMap((producer, at) =>
    Array.from({ length: 200 }, (_, index) =>
      outcomeRecord(producer, 2 * index + 2, 2 * index + 1, { seed: at * 1_000 + index }),
    ),
  );
  const seed = 20_261_121;
  const delivered = shuffled([...records, ...records, ...records], seed);
  const batches = Array.from({ length: 60 }, (_, index) => delivered.slice(index * 30, index * 30 + 30));
  const fresh = await Promise.all(batches.map(append));
  expect(fresh.reduce((sum, count) => sum + count, 0)).toBe(600);

  const { rows } = await pool.query<{ index: string; key: string }>(
    "select index, producer || ' ' || number as key from audit_leaf order by index",
  );
  expect(rows.map((row) => Number(row.index))).toEqual(Array.from({ length: 600 }, (_, index) => index));
  expect(new Set(rows.map((row) => row.key)).size).toBe(600);
  for (const table of ["audit_record", "audit_payload"]) {
    expect((await pool.query(`select from ${table}`)).rowCount, table).toBe(600);
  }
  expect(await browser().watermarks(["a", "b", "c"])).toEqual(
    ["a", "b", "c"].map((producer) => ({ producer, contiguous: 400, closed: false })),
  );
});

test("what is stored is what the leaf commits to", async () => {
  const given = [intentRecord("p", 1, { seed: 1 }), outcomeRecord("p", 3, 2, { seed: 2 })];
  await append(given);
  const { rows } = await pool.query<{ hash: Buffer; header: Buffer; sealed: Buffer | null }>(
    `select l.hash, r.header, s.sealed from audit_leaf l join audit_record r using (index)
     left join audit_payload s using (index) order by index`,
  );
  expect(rows).toHaveLength(2);
  for (const [index, row] of rows.entries()) {
    const record = given[index] as LogRecord;
    expect(row.header).toEqual(Buffer.from(record.header));
    const payloadDigest = sha256(row.sealed ?? new Uint8Array(0));
    expect(row.hash).toEqual(leafHash(sha256, { ...record, header: row.header, payloadDigest }));
  }
});

test("an intent that nobody knows the end of is counted once, however often its producer's successors say so", async () => {
  const unknown = (producer: string, number: number): LogRecord =>
    outcomeRecord(producer, number, 0, {
      seed: 5,
      outcome: audit.OutcomeKind.UNKNOWN,
      intentProducer: "dead",
      intentNumber: 2,
    });
  await append([intentRecord("dead", 1, { seed: 4 })]);
  await append([unknown("next", 1)]);
  await append([unknown("next", 2), unknown("later", 1), unknown("later", 2)]);
  await append([unknown("later", 1)]);
  expect((await browser().entriesOfRequest(requestId({ seed: 5 }))).length).toBe(1);
  expect((await browser().list(everything, { size: 0, token: "" })).entries.length).toBe(2);
  expect(await browser().summarize("", undefined, undefined)).toMatchObject([{ requests: 1n, failed: 1n }]);
  // Every one is a leaf, so no number is missing; and the dead producer's intent is accounted for.
  expect(await browser().watermarks(["dead", "next", "later"])).toMatchObject([
    { contiguous: 2 },
    { contiguous: 2 },
    { contiguous: 2 },
  ]);
});

interface Sent {
  readonly numbers: number[];
  readonly records: LogRecord[];
}

/** A producer's life: requests that are answered in some order, some intents sent alone, some numbers never sent. */
const lives = fc
  .array(fc.constantFrom("joined", "apart", "open", "lost", "mark"), { minLength: 1, maxLength: 30 })
  .map((steps): Sent => {
    const numbers: number[] = [];
    const records: LogRecord[] = [];
    let next = 1;
    for (const step of steps) {
      const number = next++;
      if (step === "lost") continue;
      if (step === "mark") {
        records.push(recordOf("", frame({ number, kind: KIND.mark }), 0));
        numbers.push(number);
        continue;
      }
      if (step !== "joined") records.push(intentRecord("", number, { seed: number }));
      numbers.push(number);
      if (step === "open") continue;
      const outcome = next++;
      records.push(outcomeRecord("", outcome, number, { seed: number }));
      numbers.push(outcome);
    }
    return { numbers, records };
  });

test("watermarks and gaps equal a set of numbers, whatever arrives in whatever batches", async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(lives, fc.integer(), fc.integer({ min: 1, max: 7 }), async (life, seed, size) => {
      const producer = `model-${run++}`;
      const delivered = shuffled([...life.records, ...life.records], seed).map((record) => ({ ...record, producer }));
      const seen = new Set<number>();
      for (let at = 0; at < delivered.length; at += size) {
        const batch = delivered.slice(at, at + size);
        await append(batch);
        for (const record of batch) {
          seen.add(record.number);
          if (record.intentNumber > 0) seen.add(record.intentNumber);
        }
        let contiguous = 0;
        while (seen.has(contiguous + 1)) contiguous++;
        expect(await browser().watermarks([producer])).toEqual([{ producer, contiguous, closed: false }]);
      }
      expect([...seen].sort((a, b) => a - b)).toEqual(life.numbers);
      const missing = Array.from({ length: Math.max(0, ...seen) }, (_, index) => index + 1).filter((n) => !seen.has(n));
      const gaps = (await browser().gaps()).filter((gap) => gap.producer === producer);
      expect(
        gaps.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at)),
      ).toEqual(missing);
    }),
    { numRuns: 40 },
  );
});

const epochRecord = (producer: string, number: number, kind: number, header: Uint8Array): LogRecord =>
  recordOf(producer, frame({ number, kind, header }), 0);

test("a missing tail and a missing producer are gaps, once a successor has named them; closed means closed and whole", async () => {
  const { create, toBinary } = await import("@bufbuild/protobuf");
  const opens = (previousProducer: string, previousLastNumber: bigint): Uint8Array =>
    toBinary(audit.EpochOpenSchema, create(audit.EpochOpenSchema, { previousProducer, previousLastNumber }));
  await append([epochRecord("one", 1, KIND.epochOpen, opens("zero", 4n)), outcomeRecord("one", 3, 2, { seed: 1 })]);
  await append([epochRecord("two", 1, KIND.epochOpen, opens("one", 6n))]);
  expect(await browser().gaps()).toEqual([
    { producer: "one", first: 4, last: 6 },
    { producer: "zero", first: 1, last: 4 },
  ]);
  await append([epochRecord("two", 3, KIND.epochClose, new Uint8Array(0))]);
  expect(await browser().watermarks(["two", "never"])).toEqual([
    { producer: "two", contiguous: 1, closed: false },
    { producer: "never", contiguous: 0, closed: false },
  ]);
  await append([epochRecord("two", 2, KIND.mark, new Uint8Array(0))]);
  expect(await browser().watermarks(["two"])).toEqual([{ producer: "two", contiguous: 3, closed: true }]);
});

test("pages hold everything once, newest first, also where many records have the same time", async () => {
  const records = Array.from({ length: 57 }, (_, index) =>
    outcomeRecord("p", index + 1, 0, { seed: Math.floor(index / 10), workspaceId: index % 2 === 0 ? "even" : "odd" }),
  );
  await append(shuffled(records, 7));
  for (const workspaceId of ["", "even"]) {
    const numbers: number[] = [];
    const times: number[] = [];
    let token = "";
    do {
      const page = await browser().list({ ...everything, workspaceId }, { size: 10, token });
      expect(page.entries.length).toBeLessThanOrEqual(10);
      numbers.push(...page.entries.map((entry) => entry.number));
      times.push(...page.entries.map((entry) => entry.atMs));
      token = page.nextPageToken;
    } while (token !== "");
    expect(numbers.length).toBe(workspaceId === "" ? 57 : 29);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  }
});

test("filters and sums", async () => {
  await append([
    outcomeRecord("p", 1, 0, { seed: 1, workspaceId: "w1", keyId: "k1", model: "fast" }),
    outcomeRecord("p", 2, 0, {
      seed: 2,
      workspaceId: "w1",
      keyId: "k2",
      model: "slow",
      outcome: audit.OutcomeKind.FAILED,
    }),
    outcomeRecord("p", 3, 0, { seed: 3, workspaceId: "w2", keyId: "k3", model: "fast" }),
    intentRecord("p", 4, { seed: 4, workspaceId: "w2" }),
  ]);
  const numbers = async (filter: Partial<LogFilter>): Promise<number[]> =>
    (await browser().list({ ...everything, ...filter }, { size: 0, token: "" })).entries.map((entry) => entry.number);
  const at = (seed: number): number => 1_760_000_000_000 + seed;
  expect(await numbers({})).toEqual([4, 3, 2, 1]);
  expect(await numbers({ workspaceId: "w1" })).toEqual([2, 1]);
  expect(await numbers({ keyId: "k3" })).toEqual([3]);
  expect(await numbers({ model: "fast", kind: KIND.outcome })).toEqual([3, 1]);
  expect(await numbers({ outcome: audit.OutcomeKind.FAILED })).toEqual([2]);
  expect(await numbers({ fromMs: at(2), toMs: at(4) })).toEqual([3, 2]);
  expect(await numbers({ kind: KIND.intent })).toEqual([4]);
  expect(await numbers({ provider: "echo" })).toEqual([3, 2, 1]);
  expect(await numbers({ provider: "none" })).toEqual([]);
  expect(await numbers({ status: 200, workspaceId: "w2" })).toEqual([3]);
  expect(await numbers({ status: 429 })).toEqual([]);
  expect(await numbers({ minCostNanos: 1_000n })).toEqual([3, 2, 1]);
  expect(await numbers({ minCostNanos: 1_001n })).toEqual([]);
  expect(await numbers({ minCostNanos: 1n, maxCostNanos: 999n })).toEqual([]);
  expect(await numbers({ endUserHmac: new Uint8Array(32).fill(8), workspaceId: "w1" })).toEqual([]);
  await append([outcomeRecord("p", 5, 0, { seed: 5, endUserHmac: new Uint8Array(32).fill(8) })]);
  expect(await numbers({ endUserHmac: new Uint8Array(32).fill(8) })).toEqual([5]);
  expect(await browser().summarize("w1", undefined, undefined)).toEqual([
    {
      provider: "echo",
      model: "fast",
      requests: 1n,
      failed: 0n,
      inputTokens: 10n,
      outputTokens: 20n,
      costNanos: 1_000n,
    },
    {
      provider: "echo",
      model: "slow",
      requests: 1n,
      failed: 1n,
      inputTokens: 10n,
      outputTokens: 20n,
      costNanos: 1_000n,
    },
  ]);
  await expect(browser().entriesOfRequest(requestId({ seed: 99 }))).rejects.toMatchObject({ reason: "not_found" });
  await expect(browser().entriesOfRequest("x' or true")).rejects.toMatchObject({ reason: "invalid_request" });
  await expect(browser().list(everything, { size: 1, token: "?" })).rejects.toMatchObject({
    reason: "invalid_request",
  });
});

test("a page token that was not given out here is refused, or is the place that it says; none breaks anything", async () => {
  await append([1, 2, 3].map((seed) => outcomeRecord("p", seed, 0, { seed })));
  const page = (token: string) => browser().list(everything, { size: 1, token });
  const given = (await page("")).nextPageToken;
  const tokens = fc.oneof(
    fc.string(),
    fc.stringMatching(/^-?[0-9a-z]{1,12}\.[0-9a-z]{1,12}$/),
    // One character of a true one is another.
    fc
      .tuple(fc.nat(given.length - 1), fc.string({ minLength: 1, maxLength: 1 }))
      .map(([at, other]) => given.slice(0, at) + other + given.slice(at + 1)),
  );
  await fc.assert(
    fc.asyncProperty(tokens, async (token) => {
      const answer = await page(token).catch((error: unknown) => error);
      if (answer instanceof Error) expect(answer).toMatchObject({ reason: "invalid_request", param: "page_token" });
      else expect((answer as { entries: unknown[] }).entries.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 300 },
  );
});

test("each of these questions is answered from an index", async () => {
  await append(Array.from({ length: 400 }, (_, at) => outcomeRecord("p", at + 1, 0, { seed: at })));
  await using owner = poolOf(database);
  await owner.query("analyze audit.audit_record");
  const plans: [Partial<LogFilter>, RegExp][] = [
    [{}, /at_ms_index_idx/],
    [{ workspaceId: "w" }, /workspace_at_ms_index_idx/],
    [{ keyId: "k" }, /key_id_at_ms_index_idx/],
    [{ model: "m" }, /model_at_ms_index_idx/],
    [{ status: 503 }, /status_at_ms_index_idx/],
    [{ minCostNanos: 1_000_000_000n }, /at_ms_index_idx1/],
  ];
  for (const [filter, index] of plans) {
    const { where, values } = conditions({ ...NO_FILTER, ...filter });
    const text = `explain select r.index from audit_record r where ${["true", ...where].join(" and ")} order by r.at_ms desc, r.index desc limit 10`;
    const client = await owner.connect();
    try {
      await client.query("set enable_seqscan = off; set enable_sort = off");
      const { rows } = await client.query<{ "QUERY PLAN": string }>(text, values);
      expect(rows.map((row) => row["QUERY PLAN"]).join("\n"), JSON.stringify(Object.keys(filter))).toMatch(index);
    } finally {
      client.release();
    }
  }
});

test("texts that no store takes, and headers that are no message, are stored all the same", async () => {
  const nasty = outcomeRecord("p", 1, 0, {
    seed: 1,
    model: `a\u0000b\u001fc\ud800${"x".repeat(5_000)}`,
    keyId: "{\"',\\",
  });
  const garbage = recordOf(
    "p",
    frame({ number: 2, kind: KIND.outcome, ref: 7, header: Buffer.from("ffffff", "hex") }),
    42,
  );
  const strange = recordOf("p", frame({ number: 3, kind: 200, header: Buffer.from("00", "hex") }), 42);
  expect(await append([nasty, garbage, strange])).toBe(3);
  const { entries } = await browser().list(everything, { size: 0, token: "" });
  expect(entries.map(({ number, kind }) => [number, kind])).toEqual([
    [1, KIND.outcome],
    [3, KIND.quarantined],
    [2, KIND.quarantined],
  ]);
  expect(entries.find((entry) => entry.number === 2)).toMatchObject({
    intentNumber: 7,
    header: Buffer.from("ffffff", "hex"),
  });
});

test("bytes in the place of lost numbers account for them, and leave room for the true records should they come after all", async () => {
  const bytes = (text: string, number: number, ref: number): LogRecord =>
    recordOf("p", frame({ kind: KIND.quarantined, number, ref, header: Buffer.from(text) }), 42);
  const unplaced = bytes("who knows", 0, 0);
  await append([
    outcomeRecord("p", 2, 1, { seed: 1 }),
    bytes("torn", 3, 5),
    unplaced,
    outcomeRecord("p", 7, 6, { seed: 2 }),
  ]);
  expect(await browser().watermarks(["p"])).toEqual([{ producer: "p", contiguous: 7, closed: false }]);
  expect(await append([bytes("torn", 3, 5), unplaced])).toBe(0);
  expect(await append([outcomeRecord("p", 4, 3, { seed: 3 })])).toBe(1);
  expect(await browser().watermarks(["p"])).toEqual([{ producer: "p", contiguous: 7, closed: false }]);
  const { entries } = await browser().list({ ...everything, kind: KIND.quarantined }, { size: 0, token: "" });
  expect(entries.map((entry) => entry.header.toString())).toEqual(["who knows", "torn"]);
});

test("an outcome that names its origin answers the intent of that epoch, not one of its own", async () => {
  const header = outcomeHeader({
    seed: 9,
    outcome: audit.OutcomeKind.UNKNOWN,
    intentProducer: "dead",
    intentNumber: 2,
  });
  const answer = recordOf("next", frame({ kind: KIND.outcome, number: 1, ref: 2, origin: "dead", header }), 0);
  await append([intentRecord("dead", 1, { seed: 8 }), answer]);
  expect(await browser().watermarks(["dead", "next"])).toMatchObject([{ contiguous: 2 }, { contiguous: 1 }]);
  expect(await browser().gaps()).toEqual([]);
});
