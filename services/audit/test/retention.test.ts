import { createHash, createPublicKey, randomUUID, verify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import {
  type ExportedLeaf,
  leafHash,
  LogVerifier,
  type OwnRecord,
  type Sha256,
  type SignedHead,
  type VerifySignature,
} from "@weir/proofs";
import type { DatabaseAddress } from "@weir/storage";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { unreadable } from "../src/adapters/own-records.ts";
import { postgresHeads } from "../src/adapters/postgres-heads.ts";
import { postgresLogReader } from "../src/adapters/postgres-log-reader.ts";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { postgresProofs } from "../src/adapters/postgres-proofs.ts";
import { postgresRetention } from "../src/adapters/postgres-retention.ts";
import { signingKeyFile } from "../src/adapters/signing-key-file.ts";
import type { LogLeaf } from "../src/domain/log-leaf.ts";
import { KIND } from "../src/domain/record.ts";
import type { Removal } from "../src/domain/retention.ts";
import { type HeadDependencies, headStep } from "../src/flows/heads.ts";
import { retainAll } from "../src/flows/retain.ts";
import { seedRetention } from "../src/flows/seed-retention.ts";
import { intentRecord, outcomeRecord, poolOf, prepared, type Request } from "./support.ts";

const DAY_MS = 86_400_000;
const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const verifySignature: VerifySignature = (publicKey, message, signature) =>
  verify(
    null,
    message,
    createPublicKey({ key: Buffer.concat([SPKI, publicKey]), type: "spki", format: "der" }),
    signature,
  );

let server: BackingPostgres;
let database: DatabaseAddress;
let pool: ReturnType<typeof poolOf>;
let owner: ReturnType<typeof poolOf>;
let dataDir: string;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await prepared(await server.freshDatabase());
  pool = poolOf(database, "weir_audit");
  owner = poolOf(database);
  dataDir = mkdtempSync(join(tmpdir(), "weir-retention-"));
  return async () => {
    await pool.end();
    await owner.end();
    rmSync(dataDir, { recursive: true, force: true });
  };
});

const store = () => postgresRetention(pool);
const append = (...requests: (Request & { readonly number: number })[]): Promise<number> =>
  postgresLogWriter(pool).append(requests.map((request) => outcomeRecord("p", request.number, 0, request)));

async function retained(dryRun = false, workspaceId?: string): Promise<Removal[]> {
  const removals: Removal[] = [];
  for await (const removal of retainAll(store(), { workspaceId, dryRun })) removals.push(removal);
  return removals;
}

const ARMED = ["audit_record", "retention_policy", "legal_hold"];
/** What the tables' owner does to make time pass: triggers are in the way. */
async function asOwner(...statements: string[]): Promise<void> {
  const client = await owner.connect();
  const trigger = (how: string): string =>
    ARMED.flatMap((table) =>
      ["deny_row", "deny_statement"].map((name) => `alter table ${table} ${how} trigger ${name}`),
    ).join(";");
  try {
    await client.query([trigger("disable"), ...statements, trigger("enable always")].join("; "));
  } finally {
    client.release();
  }
}
/** So long ago was all that is there. */
const days = (count: number): Promise<void> =>
  asOwner(
    `update audit_record set stored_at = stored_at - interval '${count} days'`,
    `update retention_policy set since_ms = since_ms - ${count * DAY_MS}::bigint`,
  );

async function indexes(table: "audit_record" | "audit_payload" | "audit_leaf"): Promise<number[]> {
  const { rows } = await pool.query<{ index: string }>(`select index from ${table} order by index`);
  return rows.map((row) => Number(row.index));
}

const heads = (): HeadDependencies => ({
  store: postgresHeads(pool, sha256),
  keys: signingKeyFile(dataDir, sha256),
  places: [],
  sha256,
  nowMs: () => Date.now(),
  events: {
    signed: () => undefined,
    headFailed: (error) => {
      throw error;
    },
    published: () => undefined,
    placeFailed: () => undefined,
  },
});

/** As an auditor reads it: see packages/cli/src/audit/leaf-columns.ts. */
function ownOf({ kind, header }: LogLeaf): OwnRecord | undefined {
  if (kind === KIND.retention) {
    const of = fromBinary(audit.RetentionSchema, header);
    const subject = of.subject === audit.RetentionSubject.RECORDS ? "records" : "payloads";
    const [keepMs, beforeMs] = [Number(of.keepMs), Number(of.beforeMs)];
    const { workspaceId, runs } = of;
    return {
      kind: "removal",
      atMs: Number(of.atMs),
      subject,
      workspaceId,
      keepMs,
      beforeMs,
      count: Number(of.count),
      runs,
    };
  }
  if (kind === KIND.retentionPolicy) {
    const { atMs, workspaceId, inherits, recordsMs, payloadsMs } = fromBinary(audit.RetentionPolicySchema, header);
    const times = { recordsMs: Number(recordsMs), payloadsMs: Number(payloadsMs) };
    return { kind: "policy", atMs: Number(atMs), workspaceId, inherits, ...times };
  }
  if (kind === KIND.legalHold) {
    const { id, workspaceId, keyId, fromMs, toMs } = fromBinary(audit.LegalHoldSchema, header);
    return { kind: "hold", id, workspaceId, keyId, fromMs: Number(fromMs), toMs: Number(toMs) };
  }
  return undefined;
}

const NOTHING = sha256(new Uint8Array(0));

async function leaves(): Promise<LogLeaf[]> {
  const proofs = postgresProofs(pool, sha256);
  return proofs.leaves(0, await proofs.size(), false);
}

async function verified(change: (leaves: ExportedLeaf[]) => ExportedLeaf[] = (given) => given, given?: SignedHead[]) {
  const proofs = postgresProofs(pool, sha256);
  const trusted = (await proofs.signingKeys())[0]?.publicKey as Uint8Array;
  const verifier = new LogVerifier(
    sha256,
    verifySignature,
    [trusted],
    [],
    given ?? (await proofs.heads(100, undefined)),
  );
  const exported = (await leaves()).map(
    (leaf): ExportedLeaf => ({
      ...leaf,
      payloadDigest: leaf.payloadDigest.length === 0 ? NOTHING : leaf.payloadDigest,
      closes: false,
      predecessor: undefined,
      removed: leaf.headerRemoved ? "record" : leaf.payloadRemoved ? "payload" : undefined,
      own: ownOf(leaf),
    }),
  );
  for (const leaf of change(exported)) verifier.take(leaf);
  const findings = verifier.finish();
  return { ...findings, problems: findings.problems.filter(({ kind }) => kind !== "missing-record") };
}

test("what the log writes of itself is hashed and encoded as everything else", async () => {
  const texts = fc
    .string({ minLength: 1, maxLength: 40, unit: "grapheme" })
    .map((text) => text.replaceAll(/\p{C}/gu, "x"));
  const times = fc.oneof(fc.constant(0), fc.integer({ min: 60_000, max: 3_155_760_000_000 }));
  await fc.assert(
    fc.asyncProperty(
      texts,
      texts,
      times,
      times,
      fc.nat(),
      async (workspaceId, reason, recordsMs, payloadsMs, fromMs) => {
        await store().setPolicy(workspaceId, { recordsMs, payloadsMs });
        const id = randomUUID();
        await store().place(id, { workspaceId, keyId: reason.slice(0, 20), fromMs, toMs: fromMs + 5 }, reason);
        await store().release(id, reason);
        await store().setPolicy(workspaceId, "inherit");
        const own = (await leaves()).slice(-4);
        for (const leaf of own)
          expect(Buffer.from(leaf.storedHash)).toEqual(leafHash(sha256, { ...leaf, payloadDigest: NOTHING }));
        const [policy, hold, release, inherits] = own.map(({ header }) => header) as [Buffer, Buffer, Buffer, Buffer];
        expect(fromBinary(audit.RetentionPolicySchema, policy)).toMatchObject({
          workspaceId,
          inherits: false,
          recordsMs: BigInt(recordsMs),
          payloadsMs: BigInt(payloadsMs),
        });
        expect(fromBinary(audit.LegalHoldSchema, hold)).toMatchObject({
          id,
          workspaceId,
          fromMs: BigInt(fromMs),
          reason,
        });
        expect(fromBinary(audit.LegalHoldReleaseSchema, release)).toMatchObject({ id, workspaceId, reason });
        expect(fromBinary(audit.RetentionPolicySchema, inherits)).toMatchObject({ inherits: true, recordsMs: 0n });
      },
    ),
    { numRuns: 25 },
  );
  const numbers = (await leaves()).map(({ number }) => number);
  expect(numbers).toEqual(numbers.map((_, at) => at + 1));
  expect(await postgresLogReader(pool).watermarks(["weir.audit"])).toMatchObject([{ contiguous: numbers.length }]);
});

test("payloads go first, then records; the leaves stay, every head verifies, and an auditor reads what was removed by which record", async () => {
  await append(...[1, 2, 3, 4].map((number) => ({ number, seed: number, workspaceId: number === 4 ? "other" : "w" })));
  await postgresLogWriter(pool).append([intentRecord("p", 5, { seed: 5, workspaceId: "w" })]);
  await store().setPolicy("w", { recordsMs: 400 * DAY_MS, payloadsMs: 30 * DAY_MS });
  await headStep(heads());
  expect(await retained()).toEqual([]);

  await days(40);
  expect(await retained(true)).toEqual([
    { subject: "payloads", workspaceId: "w", count: 3, firstIndex: 0, lastIndex: 2, index: undefined },
  ]);
  expect(await indexes("audit_payload")).toEqual([0, 1, 2, 3]);
  expect(await retained()).toEqual([
    { subject: "payloads", workspaceId: "w", count: 3, firstIndex: 0, lastIndex: 2, index: 6 },
  ]);
  expect(await retained()).toEqual([]);
  expect(await indexes("audit_payload")).toEqual([3]);

  await days(370);
  expect(await retained()).toEqual([
    { subject: "records", workspaceId: "w", count: 4, firstIndex: 0, lastIndex: 4, index: 7 },
  ]);
  // The log's own records, and what is of another workspace.
  expect(await indexes("audit_record")).toEqual([3, 5, 6, 7]);
  expect(await indexes("audit_leaf")).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  const [, run] = (await leaves()).slice(-2).map(({ header }) => fromBinary(audit.RetentionSchema, header));
  expect(run).toMatchObject({ workspaceId: "w", policyIndex: 5n, count: 4n, runs: [0n, 3n, 1n, 1n] });

  // Redelivered, they are known.
  expect(await append({ number: 1, seed: 1, workspaceId: "w" })).toBe(0);
  await headStep(heads());
  // The clock was moved by what the owner changed in the tables: the heads know better, and say so.
  const findings = await verified();
  expect(findings.problems.map(({ kind }) => kind)).toEqual(["unlawful-removal", "unlawful-removal"]);
  expect(findings).toMatchObject({ provenTo: 8, removed: { records: 4, payloads: 0, by: [6, 7] } });
});

test("with heads as old as the records, a lawful run has no problem; a removal that nobody declared, or that no policy allowed, has", async () => {
  await append(...[1, 2, 3].map((number) => ({ number, seed: number, workspaceId: "w" })));
  await store().setPolicy("w", { recordsMs: 400 * DAY_MS, payloadsMs: 0 });
  await days(410);
  await headStep(heads());
  // The record of the policy says when it was set: as if it had been then.
  const policyThen = (given: ExportedLeaf[]): ExportedLeaf[] =>
    given.map((leaf) =>
      leaf.own?.kind === "policy" ? { ...leaf, own: { ...leaf.own, atMs: leaf.own.atMs - 410 * DAY_MS } } : leaf,
    );
  await asOwner("update audit_record set stored_at = now() where index = 2");
  expect(await retained()).toMatchObject([{ count: 2, index: 4 }]);
  await headStep(heads());
  expect((await verified(policyThen, [])).problems).toEqual([]);

  const undeclared = await verified(
    (given) => policyThen(given).map((leaf) => (leaf.index === 2 ? { ...leaf, removed: "record" } : leaf)),
    [],
  );
  expect(undeclared.problems).toEqual([{ kind: "undeclared-removal", subject: "records", first: 2, last: 2 }]);
  const alsoPayload = await verified(
    (given) => policyThen(given).map((leaf) => (leaf.index === 2 ? { ...leaf, removed: "payload" } : leaf)),
    [],
  );
  expect(alsoPayload.problems).toEqual([{ kind: "undeclared-removal", subject: "payloads", first: 2, last: 2 }]);
  const without = await verified(
    (given) => policyThen(given).map((leaf) => (leaf.own?.kind === "removal" ? { ...leaf, own: undefined } : leaf)),
    [],
  );
  expect(without.problems).toEqual([{ kind: "undeclared-removal", subject: "records", first: 0, last: 1 }]);
  // The policy was set when its record says: seven days of it had not passed.
  expect((await verified(undefined, [])).problems).toMatchObject([{ kind: "unlawful-removal", index: 4 }]);
  // Somebody else's record cannot declare anything.
  const forged = await verified(
    (given) => policyThen(given).map((leaf) => (leaf.own?.kind === "removal" ? { ...leaf, producer: "p" } : leaf)),
    [],
  );
  expect(forged.problems).toContainEqual({ kind: "undeclared-removal", subject: "records", first: 0, last: 1 });
});

test("what is shortened counts after seven days, what is lengthened at once, and the default is for all without their own", async () => {
  await append(
    { number: 1, seed: 1, workspaceId: "own" },
    { number: 2, seed: 2, workspaceId: "none" },
    { number: 3, seed: 3, workspaceId: "inherits" },
  );
  await store().setPolicy("own", { recordsMs: 0, payloadsMs: 90 * DAY_MS });
  await store().setPolicy("inherits", { recordsMs: 0, payloadsMs: 300 * DAY_MS });
  await store().setPolicy("", { recordsMs: 0, payloadsMs: 60 * DAY_MS });
  await days(70);
  await store().setPolicy("own", { recordsMs: 0, payloadsMs: 10 * DAY_MS });
  await store().setPolicy("inherits", "inherit");
  const kept = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await store().policies()).map((policy) => [policy.workspaceId, policy.effective.payloadsMs / DAY_MS]),
    );
  expect(await kept()).toEqual({ "": 60, own: 90, inherits: 300 });
  expect(await retained()).toMatchObject([{ workspaceId: "none", count: 1 }]);
  await days(8);
  expect(await kept()).toEqual({ "": 60, own: 10, inherits: 60 });
  await store().setPolicy("own", { recordsMs: 0, payloadsMs: 0 });
  expect(await kept()).toMatchObject({ own: 0 });
  expect(await retained()).toMatchObject([{ workspaceId: "inherits", count: 1 }]);
  // What says the same is no second record.
  const before = (await indexes("audit_leaf")).length;
  await store().setPolicy("own", { recordsMs: 0, payloadsMs: 0 });
  expect(await indexes("audit_leaf")).toHaveLength(before);
});

test("what is held stays until it is released", async () => {
  const at = 1_760_000_000_000;
  await append(
    { number: 1, seed: 1, workspaceId: "w", keyId: "a" },
    { number: 2, seed: 2, workspaceId: "w", keyId: "b" },
    { number: 3, seed: 3, workspaceId: "w", keyId: "b" },
    { number: 4, seed: 4, workspaceId: "v", keyId: "a" },
  );
  await store().setPolicy("", { recordsMs: 10 * DAY_MS, payloadsMs: 10 * DAY_MS });
  await days(30);
  const ofKey = await store().place(randomUUID(), { workspaceId: "w", keyId: "b", fromMs: 0, toMs: at + 3 }, "case 7");
  const ofTime = await store().place(randomUUID(), { workspaceId: "w", keyId: "", fromMs: at + 3, toMs: 0 }, "case 8");
  expect(await store().holding("w", "b")).toBeDefined();
  expect(await store().holding("w", undefined)).toBeDefined();
  expect(await store().holding("v", "a")).toBeUndefined();
  expect(await retained()).toMatchObject([
    { subject: "records", workspaceId: "v", count: 1 },
    { subject: "records", workspaceId: "w", count: 1, firstIndex: 0 },
  ]);
  expect(await retained()).toEqual([]);
  expect(await store().list(false)).toMatchObject([{ id: ofTime.id, reason: "case 8" }, { id: ofKey.id }]);
  await store().release(ofKey.id, "settled");
  await store().release(ofKey.id, "once more has no effect");
  expect(await retained()).toMatchObject([{ workspaceId: "w", count: 1, firstIndex: 1 }]);
  expect(await store().list(true)).toMatchObject([
    { id: ofTime.id, release: undefined },
    { release: { reason: "settled" } },
  ]);
  await expect(store().release(randomUUID(), "x")).rejects.toMatchObject({ reason: "not_found" });
  await expect(
    store().place(randomUUID(), { workspaceId: "", keyId: "", fromMs: 0, toMs: 0 }, "x"),
  ).rejects.toMatchObject({
    reason: "invalid_request",
  });
});

test("what an erasure destroyed can still be told when retention has removed it", async () => {
  await append({ number: 1, seed: 1 }, { number: 2, seed: 2 }, { number: 3, seed: 3 });
  await store().setPolicy("", { recordsMs: 0, payloadsMs: 30 * DAY_MS });
  await days(40);
  const subject = randomUUID();
  const armed = ["deny_row", "deny_statement"].map((name) => `alter table audit_payload disable trigger ${name}`);
  await asOwner(
    ...armed,
    `update audit_payload set subject = '${subject}' where index in (0, 2)`,
    ...armed.map((text) => text.replace("disable", "enable always")),
  );
  const before = await unreadable(pool, [subject]);
  expect(before.payloads).toBe(2);
  expect(await retained()).toMatchObject([{ subject: "payloads", count: 3 }]);
  expect(await unreadable(pool, [subject])).toEqual(before);
});

test("any policies, ages and holds: what is removed is what a list of all records says", async () => {
  const workspaces = ["a", "b", "c"];
  const records = fc.array(
    fc.record({
      workspaceId: fc.constantFrom(...workspaces),
      keyId: fc.constantFrom("k1", "k2"),
      storedDaysAgo: fc.integer({ min: 0, max: 40 }),
    }),
    { minLength: 1, maxLength: 30 },
  );
  const kept = fc.record({ recordsDays: fc.constantFrom(0, 5, 15, 30), payloadsDays: fc.constantFrom(0, 5, 15, 30) });
  const policies = fc.record({ "": fc.option(kept), a: fc.option(kept), b: fc.option(kept) });
  const holds = fc.array(fc.record({ workspaceId: fc.constantFrom(...workspaces), keyId: fc.constantFrom("", "k1") }), {
    maxLength: 2,
  });
  await fc.assert(
    fc.asyncProperty(records, policies, holds, async (made, stated, held) => {
      const fresh = await prepared(await server.freshDatabase());
      await using own = poolOf(fresh, "weir_audit");
      await using theirs = poolOf(fresh);
      await postgresLogWriter(own).append(made.map((of, at) => outcomeRecord("p", at + 1, 0, { seed: at, ...of })));
      const retention = postgresRetention(own);
      for (const [workspaceId, times] of Object.entries(stated)) {
        if (times === null) continue;
        const { recordsDays, payloadsDays } = times;
        await retention.setPolicy(workspaceId, { recordsMs: recordsDays * DAY_MS, payloadsMs: payloadsDays * DAY_MS });
      }
      for (const scope of held) await retention.place(randomUUID(), { ...scope, fromMs: 0, toMs: 0 }, "held");
      await theirs.query(
        `alter table audit_record disable trigger deny_row; alter table audit_record disable trigger deny_statement;
         alter table retention_policy disable trigger deny_row; alter table retention_policy disable trigger deny_statement;
         ${made.map(({ storedDaysAgo }, at) => `update audit_record set stored_at = now() - interval '${storedDaysAgo} days 12 hours' where index = ${at};`).join("")}
         update retention_policy set since_ms = since_ms - ${100 * DAY_MS}::bigint;
         alter table audit_record enable always trigger deny_row; alter table audit_record enable always trigger deny_statement`,
      );
      for await (const _ of retainAll(retention, { workspaceId: undefined, dryRun: false }));
      const left = async (table: string): Promise<number[]> =>
        (
          await own.query<{ index: string }>(`select index from ${table} where index < ${made.length} order by index`)
        ).rows.map(({ index }) => Number(index));
      const stays = (of: (typeof made)[number], keptDays: number): boolean =>
        keptDays === 0 ||
        of.storedDaysAgo < keptDays ||
        held.some((hold) => hold.workspaceId === of.workspaceId && (hold.keyId === "" || hold.keyId === of.keyId));
      const policyOf = ({ workspaceId }: (typeof made)[number]) =>
        stated[workspaceId as "a"] ?? stated[""] ?? { recordsDays: 0, payloadsDays: 0 };
      const expected = (subject: "recordsDays" | "payloadsDays"): number[] =>
        made.flatMap((of, at) => (stays(of, policyOf(of)[subject]) ? [at] : []));
      const recordsLeft = expected("recordsDays");
      expect(await left("audit_record")).toEqual(recordsLeft);
      expect(await left("audit_payload")).toEqual(expected("payloadsDays").filter((at) => recordsLeft.includes(at)));
      expect(await left("audit_leaf")).toHaveLength(made.length);
    }),
    { numRuns: 8 },
  );
}, 120_000);

test("batches are bounded, and what appends meanwhile is not held up by more than one", async () => {
  const total = 2_300;
  const writer = postgresLogWriter(pool);
  const make = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => outcomeRecord("p", from + at, 0, { seed: from + at, workspaceId: "w" }));
  for (let from = 1; from <= total; from += 500) await writer.append(make(from, Math.min(500, total - from + 1)));
  await store().setPolicy("", { recordsMs: 0, payloadsMs: DAY_MS });
  await days(10);
  let appended = total;
  const removing = retained();
  const appending = (async () => {
    for (let round = 0; round < 20; round++) appended += await writer.append(make(appended + 1, 10));
  })();
  const removals = await removing;
  await appending;
  expect(removals.map(({ count }) => count)).toEqual([1_000, 1_000, 300]);
  expect((await indexes("audit_leaf")).length).toBe(total + 1 + 3 + 200);
  expect((await indexes("audit_payload")).length).toBe(200);
}, 60_000);

test("a new log is told what weir.yaml says, and one that has policies keeps them", async () => {
  const asked: string[][] = [];
  const seeds = {
    all: { recordsMs: 400 * DAY_MS, payloadsMs: 30 * DAY_MS },
    workspaces: new Map([
      ["search", { recordsMs: 0, payloadsMs: DAY_MS }],
      ["unknown", { recordsMs: 0, payloadsMs: DAY_MS }],
    ]),
    idsOf: (names: readonly string[]) => {
      asked.push([...names]);
      return Promise.resolve(new Map([["search", "id-of-search"]]));
    },
  };
  await seedRetention(store(), seeds);
  expect(await store().policies()).toMatchObject([
    { workspaceId: "", recordsMs: 400 * DAY_MS },
    { workspaceId: "id-of-search", payloadsMs: DAY_MS },
  ]);
  await store().setPolicy("", { recordsMs: 0, payloadsMs: 0 });
  await seedRetention(store(), seeds);
  expect(await store().policies()).toMatchObject([{ workspaceId: "", recordsMs: 0 }, { workspaceId: "id-of-search" }]);
  await seedRetention(store(), { ...seeds, all: undefined, workspaces: new Map() });
  expect(asked).toHaveLength(2);
});
