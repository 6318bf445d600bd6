/** What was kept of a subject cannot be read any more, here at once, and from any copy of the database once it is complete. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, Code } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { encodeFrames, type Frame, FRAME_KIND, memoryBus } from "@weir/events";
import { Secret } from "@weir/kernel";
import { inProcessPeers } from "@weir/mesh";
import { createSealer, subjectDigest } from "@weir/sealing";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, type FakeClock, fakeClock, startPostgres } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { journalEntries } from "../src/adapters/erasure-journal.ts";
import { keyGenerations } from "../src/adapters/key-generations.ts";
import { SubjectKeys } from "../src/adapters/subject-keys.ts";
import { createAudit } from "../src/index.ts";
import { AT_MS, frame, outcomeFrame, poolOf, requestId, sealedBefore, SETTINGS } from "./support.ts";

const HOUR_MS = 3_600_000;
const headers = { authorization: "Bearer operator-token" };
const workspaceId = "workspace";
const ann = { case: "endUser", value: "ann" } as const;

let server: BackingPostgres;
let database: { connectionString: string };
let dataDir: string;
let clock: FakeClock;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  database = { connectionString: await server.freshDatabase() };
  dataDir = mkdtempSync(join(tmpdir(), "weir-erasure-"));
  clock = fakeClock(AT_MS + 1_000_000);
  return () => rmSync(dataDir, { recursive: true, force: true });
});

interface Running {
  readonly log: Client<typeof audit.AuditService>;
  readonly erasures: Client<typeof audit.ErasureService>;
  readonly producers: Client<typeof audit.ProducerService>;
  readonly proofs: Client<typeof audit.AuditProofService>;
  /** Stores frames of producer "p", and waits until they are stored. */
  readonly store: (...frames: Frame[]) => Promise<void>;
  readonly erase: (subject?: audit.EraseRequest["subject"]) => Promise<audit.Erasing>;
  readonly advance: (...abandoned: string[]) => Promise<audit.Erasing[]>;
  /** Of the request of this seed. */
  readonly textOf: (seed: number) => Promise<string>;
}

async function withAudit<T>(use: (running: Running) => Promise<T>, payloadKeys: readonly string[] = []): Promise<T> {
  await using bus = memoryBus({ consumers: ["audit"] });
  const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
  const settings = { ...SETTINGS, payloadKeys: payloadKeys.map((key) => new Secret(key)) };
  const config = { adminToken: new Secret("operator-token"), dataDir, audit: settings };
  await using service = await createAudit({ config, telemetry, database, bus, clock });
  await service.start();
  await expect.poll(() => service.notReady(), { timeout: 20_000 }).toBeUndefined();
  const peers = inProcessPeers(service.routes);
  const log = peers.client(audit.AuditService);
  const erasures = peers.client(audit.ErasureService);
  return await use({
    log,
    erasures,
    producers: peers.client(audit.ProducerService),
    proofs: peers.client(audit.AuditProofService),
    async store(...frames) {
      await bus.publish({ producer: "p", first: 1, last: 99, data: encodeFrames(frames) });
      const last = Math.max(...frames.map(({ number }) => number));
      const there = async () =>
        (await log.list({ pageSize: 1000 }, { headers })).entries.some(
          ({ producer, number }) => producer === "p" && number === BigInt(last),
        );
      await expect.poll(there, { timeout: 20_000 }).toBe(true);
    },
    async erase(subject = ann) {
      const { erasing } = await erasures.erase(
        { workspaceId, subject, reason: "asked for", requestedBy: "op" },
        { headers },
      );
      return erasing as audit.Erasing;
    },
    advance: async (...abandonedProducers) =>
      (await erasures.advanceErasures({ abandonedProducers }, { headers })).erasures,
    async textOf(seed) {
      const { entries } = await log.get({ requestId: requestId({ seed }), includePayload: true }, { headers });
      const [entry] = entries;
      if (entry?.payloadErased === true) return "erased";
      return entry?.payload === undefined ? "none" : Buffer.from(entry.payload.request?.data ?? []).toString();
    },
  });
}

/** An outcome with a text, sealed as an ingress does that knows this key. */
function said(number: number, publicKey: Uint8Array, endUser: string, seed = number): Frame {
  const payload = create(audit.PayloadSchema, { request: { data: Buffer.from(`${endUser} said ${seed}`) } });
  const sealed = createSealer(publicKey, () => 0).seal(
    toBinary(audit.PayloadSchema, payload),
    requestId({ seed }),
    subjectDigest({ workspaceId, endUser }),
  );
  return { ...outcomeFrame(number, 0, { seed }), payload: sealed };
}

const mark = (number: number, transportKey: number): Frame =>
  frame({
    number,
    kind: FRAME_KIND.mark,
    header: toBinary(audit.MarkSchema, create(audit.MarkSchema, { atMs: 1n, transportKey: BigInt(transportKey) })),
  });

const files = (): string[] =>
  readdirSync(dataDir, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".key") && !name.includes("signing"))
    .sort();

test("a subject's texts are unreadable at once, others are not; nobody but an operator may ask for it", async () => {
  await withAudit(async ({ producers, erasures, store, erase, textOf }) => {
    const { publicKey, number } = await producers.getTransportKey({ producer: "p" });
    expect(number).toBe(1n);
    await store(said(1, publicKey, "ann"), said(2, publicKey, "bob"), said(3, publicKey, "ann"));
    expect(await textOf(1)).toBe("ann said 1");
    const asked = { workspaceId, subject: ann, dryRun: true };
    await expect(erasures.erase(asked)).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(erasures.listErasures({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(erasures.advanceErasures({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect((await erasures.erase(asked, { headers })).payloads).toBe(2n);
    expect(await textOf(1)).toBe("ann said 1");
    const erasing = await erase();
    expect(erasing).toMatchObject({
      payloads: 2n,
      transportKeys: [1n],
      waitsFor: ["records of p"],
      workspaceId,
      keyId: "",
    });
    expect(await Promise.all([1, 2, 3].map(textOf))).toEqual(["erased", "bob said 2", "erased"]);
    expect((await erasures.listErasedLeaves({ id: erasing.id }, { headers })).indexes).toEqual([0n, 2n]);
    expect((await erasures.erase({ ...asked, subject: ann }, { headers })).payloads).toBe(0n);
    expect((await erasures.listErasures({}, { headers })).erasures.map(({ id }) => id)).toEqual([erasing.id]);
  });
});

test("it is complete once nothing sealed before can arrive and no key of before is left", async () => {
  await withAudit(async ({ producers, log, proofs, store, erase, advance, textOf }) => {
    const first = await producers.getTransportKey({ producer: "p" });
    await store(said(1, first.publicKey, "ann"), said(2, first.publicKey, "bob"));
    const erasing = await erase();
    // The producer may still have something that is sealed to the key it was told.
    expect(await advance()).toMatchObject([{ transportKeys: [1n], waitsFor: ["records of p"] }]);
    expect(files()).toEqual(["audit-subject-keys/1.key", "audit-transport.key", "audit-transport/2.key"]);
    const second = await producers.getTransportKey({ producer: "p" });
    expect(second.number).toBe(2n);
    await store(said(3, first.publicKey, "ann"));
    // Of before the erasure by its time, and after it by its place.
    expect(await textOf(3)).toBe("erased");
    clock.advance(1_000);
    await store(mark(5, 2));
    // Number 4 may be a text that is on its way.
    expect(await advance()).toMatchObject([{ waitsFor: ["records of p"] }]);
    await store({ ...said(4, first.publicKey, "bob") });
    expect(await advance()).toEqual([]);
    expect(files()).toEqual(["audit-subject-keys/2.key", "audit-transport/2.key"]);
    expect(await Promise.all([1, 2, 3, 4].map(textOf))).toEqual(["erased", "bob said 2", "erased", "bob said 4"]);

    const { entries } = await log.list({ kind: audit.RecordKind.ERASURE }, { headers });
    const records = entries.flatMap(({ record }) => (record.case === "erasure" ? [record.value] : []));
    expect(records).toMatchObject([
      { stage: audit.ErasureStage.COMPLETE, payloads: 2n, lastTransportKey: 1n, lastKeyGeneration: 1n },
      { stage: audit.ErasureStage.KEY_DESTROYED, payloads: 1n, reason: "asked for", requestedBy: "op" },
    ]);
    expect(records.map(({ erasureId }) => erasureId)).toEqual([erasing.id, erasing.id]);
    const leaves = proofs.export({}, { headers });
    for await (const { leaves: part } of leaves)
      for (const leaf of part) expect(Buffer.from(leaf.header).includes("ann")).toBe(false);
  });
  // Whoever comes back is a new subject, and the old texts stay unreadable.
  await withAudit(async ({ producers, store, textOf }) => {
    const { publicKey } = await producers.getTransportKey({ producer: "p" });
    const later = outcomeFrame(6, 0, { seed: 2_000_000 });
    await store({ ...said(6, publicKey, "ann", 2_000_000), header: later.header });
    expect(await textOf(2_000_000)).toBe("ann said 2000000");
    expect(await textOf(1)).toBe("erased");
  });
});

test("transport keys are replaced on an interval, and old ones go when their producers have closed, died or moved on", async () => {
  await withAudit(async ({ producers, store, advance }) => {
    for (const producer of ["p", "lost"]) await producers.getTransportKey({ producer });
    clock.advance(24 * HOUR_MS - 1);
    await advance();
    expect((await producers.getTransportKey({ producer: "p" })).number).toBe(1n);
    clock.advance(1);
    await advance();
    expect((await producers.getTransportKey({ producer: "p" })).number).toBe(2n);
    const close = frame({
      number: 1,
      kind: FRAME_KIND.epochClose,
      header: toBinary(audit.EpochCloseSchema, create(audit.EpochCloseSchema, { atMs: 1n })),
    });
    await store(close);
    await advance();
    // The other one's disk may have records.
    expect(files()).toContain("audit-transport.key");
    await advance("lost");
    expect(files()).toEqual(["audit-transport/2.key"]);
    // Its key is not told to anybody who asks later.
    expect((await producers.getTransportKey({ producer: "q" })).number).toBe(2n);
  });
});

test("payloads of before subjects had keys keep their transport key, and erasures say that they wait for it", async () => {
  await withAudit(async ({ producers, log, store, erase, advance, textOf }) => {
    const { publicKey } = await log.transportKey({}, { headers });
    const payload = create(audit.PayloadSchema, { request: { data: Buffer.from("of old") } });
    const sealed = sealedBefore(publicKey, toBinary(audit.PayloadSchema, payload), requestId({ seed: 1 }));
    await store({ ...outcomeFrame(1, 0, { seed: 1 }), payload: sealed });
    await producers.getTransportKey({ producer: "" });
    await erase();
    expect(await advance()).toMatchObject([{ transportKeys: [1n] }]);
    const [left] = await advance();
    expect(left?.waitsFor).toContain("1 payloads of before subjects had keys");
    expect(await textOf(1)).toBe("of old");
  });
});

test("a database from before an erasure does not undo it", async () => {
  await using owner = poolOf(database);
  const before = await withAudit(async ({ producers, store, erase }) => {
    const { publicKey } = await producers.getTransportKey({ producer: "p" });
    await store(said(1, publicKey, "ann"), said(2, publicKey, "bob"));
    await owner.query("create table audit_keys.copy as select * from audit_keys.subject");
    return erase();
  });
  // As a restore leaves it: the subject is there, the erasure is not.
  await owner.query("insert into audit_keys.subject select * from audit_keys.copy on conflict do nothing");
  await owner.query("delete from audit_keys.erasure; delete from audit_keys.tombstone");
  await withAudit(async ({ log, erasures, textOf, advance, store }) => {
    expect(await textOf(1)).toBe("erased");
    expect(await textOf(2)).toBe("bob said 2");
    const { erasures: listed } = await erasures.listErasures({}, { headers });
    expect(listed.map(({ id }) => id)).toEqual([before.id]);
    const { entries } = await log.list({ kind: audit.RecordKind.ERASURE }, { headers });
    expect(entries.flatMap(({ record }) => (record.case === "erasure" ? [record.value.replayed] : []))).toEqual([
      true,
      false,
    ]);
    await advance();
    await store(mark(3, 2));
    expect(await advance()).toEqual([]);
  });
  await withAudit(async ({ erasures }) => {
    const { erasures: listed } = await erasures.listErasures({}, { headers });
    expect(listed).toHaveLength(1);
    expect(listed[0]?.completedIndex).toBeDefined();
  });
});

test("other services may not even read the keys", async () => {
  await using owner = poolOf(database);
  const client = await owner.connect();
  await withAudit(async () => {
    const { rows } = await owner.query<{ name: string }>(
      "select 'audit_keys.' || tablename as name from pg_tables where schemaname = 'audit_keys'",
    );
    expect(rows.length).toBeGreaterThan(5);
    for (const { name } of rows) {
      const stranger = client.query(`begin; create role stranger; set local role stranger; select from ${name}`);
      await expect(stranger, name).rejects.toMatchObject({ code: "42501" });
      await client.query("rollback");
    }
  });
  client.release();
});

test("another data folder than the keys' is refused before it destroys, erases or hands out anything", async () => {
  await using owner = poolOf(database);
  await withAudit(async ({ producers, store }) => {
    const { publicKey } = await producers.getTransportKey({ producer: "p" });
    await store(said(1, publicKey, "ann"));
  });
  const kept = files();
  const other = mkdtempSync(join(tmpdir(), "weir-erasure-"));
  try {
    const config = { adminToken: new Secret("operator-token"), dataDir: other, audit: SETTINGS };
    const open = () => {
      const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
      return createAudit({ config, telemetry, database, bus: undefined, clock });
    };
    {
      await using service = await open();
      // Within the time a start may take it rejects.
      await service.start().catch(() => undefined);
      await expect.poll(() => service.notReady(), { timeout: 20_000 }).toBe("the audit log cannot be used");
      const peers = inProcessPeers(service.routes);
      const erasures = peers.client(audit.ErasureService);
      const order = { workspaceId, subject: ann };
      for (const call of [
        () => erasures.erase(order, { headers }),
        () => erasures.erase({ ...order, dryRun: true }, { headers }),
        () => erasures.advanceErasures({}, { headers }),
        () => peers.client(audit.ProducerService).getTransportKey({ producer: "p" }),
      ]) {
        const rawMessage = expect.stringMatching(/not the one that the keys/) as string;
        await expect(call()).rejects.toMatchObject({ code: Code.Internal, rawMessage });
      }
    }
    await withAudit(async ({ advance, textOf }) => {
      await advance();
      expect(await textOf(1)).toBe("ann said 1");
    });
    expect(files()).toEqual(kept);
    // As the handbook tells who has lost the folder.
    await owner.query("delete from audit_keys.folder");
    await using service = await open();
    await service.start();
    await expect.poll(() => service.notReady(), { timeout: 20_000 }).toBeUndefined();
  } finally {
    rmSync(other, { recursive: true, force: true });
  }
});

test("what was recorded before an erasure is erased, too, where its subject's key is made at that very time", async () => {
  await withAudit(async ({ erase }) => {
    await using pool = poolOf(database, "weir_audit");
    const digest = subjectDigest({ workspaceId, endUser: "ann" });
    let meanwhile = (): Promise<unknown> => erase();
    const during = {
      async query(...args: Parameters<typeof pool.query>) {
        if (String(args[0]).includes("insert into audit_keys.subject")) {
          const first = meanwhile;
          meanwhile = () => Promise.resolve();
          await first();
        }
        return pool.query(...args);
      },
    } as unknown as Pick<typeof pool, "query">;
    const keys = await new SubjectKeys(during, keyGenerations(dataDir, []), () => clock.nowMs()).of([digest]);
    expect(keys.get(digest.toString("hex"))?.erased?.beforeMs).toBe(clock.nowMs());
  });
});

test("nothing is erased under a legal hold", async () => {
  await using owner = poolOf(database);
  await withAudit(async ({ producers, store, erase, textOf }) => {
    const { publicKey } = await producers.getTransportKey({ producer: "p" });
    await store(said(1, publicKey, "ann"));
    await owner.query(
      "select audit.place_hold('00000000-0000-4000-8000-000000000001', 'workspace', '', 0, null, 'a case')",
    );
    await expect(erase()).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect(await textOf(1)).toBe("ann said 1");
    expect(existsSync(join(dataDir, "audit-erasures.jsonl"))).toBe(false);
    await owner.query("select audit.release_hold('00000000-0000-4000-8000-000000000001', 'over')");
    await erase();
    expect(await textOf(1)).toBe("erased");
  });
});

test("the configured key is needed to open anything, and can be replaced", async () => {
  await withAudit(
    async ({ producers, store }) => {
      const { publicKey } = await producers.getTransportKey({ producer: "p" });
      await store(said(1, publicKey, "ann"));
    },
    ["first"],
  );
  await withAudit(async ({ textOf }) => {
    await expect(textOf(1)).rejects.toMatchObject({ code: Code.Internal });
  });
  await withAudit(
    async ({ advance, textOf }) => {
      expect(await textOf(1)).toBe("ann said 1");
      await advance();
      expect(files()).toEqual(["audit-subject-keys/2.key", "audit-transport.key"]);
    },
    ["second", "first"],
  );
  await withAudit(async ({ textOf }) => expect(await textOf(1)).toBe("ann said 1"), ["second"]);
});

test("records and erasures at once: what came before its erasure is unreadable, what came after is not, and nothing is refused", async () => {
  await withAudit(async ({ producers, store, erase, advance, textOf, erasures }) => {
    const { publicKey } = await producers.getTransportKey({ producer: "p" });
    const rounds = 8;
    for (let round = 0; round < rounds; round += 1) {
      const seeds = [0, 1, 2].map((one) => round * 3 + one + 1);
      await Promise.all([
        store(...seeds.map((seed) => said(seed, publicKey, "ann"))),
        erase(),
        ...(round % 2 === 0 ? [advance()] : []),
      ]);
    }
    const all = Array.from({ length: rounds * 3 }, (_, place) => place + 1);
    // By their times all of them are of before.
    expect(new Set(await Promise.all(all.map(textOf)))).toEqual(new Set(["erased"]));
    const { erasures: listed } = await erasures.listErasures({}, { headers });
    expect(listed).toHaveLength(rounds);
    const lost = await Promise.all(
      listed.map(async ({ id }) => (await erasures.listErasedLeaves({ id }, { headers })).indexes.length),
    );
    expect(lost.reduce((sum, one) => sum + one, 0)).toBe(rounds * 3);
  });
});

test("a journal is read whatever is in it: whole lines count, cut ones do not", () => {
  const entry = {
    id: "00000000-0000-4000-8000-000000000001",
    atMs: 1,
    workspaceId: "w",
    keyId: "",
    subjects: ["00000000-0000-4000-8000-000000000002"],
    reason: "r",
    requestedBy: "",
  };
  const line = JSON.stringify(entry);
  fc.assert(
    fc.property(fc.nat(line.length - 1), fc.string(), fc.json(), (cut, noise, json) => {
      expect(journalEntries(`${line}\n${line.slice(0, cut)}`)).toEqual([entry]);
      expect(journalEntries(`${line.slice(0, cut)}\n${line}\n`)).toEqual([entry]);
      expect(journalEntries(noise)).toEqual([]);
      expect(journalEntries(json)).toEqual([]);
    }),
  );
});
