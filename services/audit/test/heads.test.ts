import { createHash, createPublicKey, verify } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EndorsedKey,
  LogVerifier,
  parseHead,
  type Problem,
  type Sha256,
  type SignedHead,
  verifyConsistency,
  verifyInclusion,
  type VerifySignature,
} from "@weir/proofs";
import type { DatabaseAddress } from "@weir/storage";
import { jetstream } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import { jetStreamObjects } from "@weir/events";
import { type BackingPostgres, startNats, startPostgres } from "@weir/testkit";
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { fileHeadPlace, HEAD_BUCKET, natsHeadPlace, webhookHeadPlace } from "../src/adapters/head-places.ts";
import { postgresHeads } from "../src/adapters/postgres-heads.ts";
import { postgresLogWriter } from "../src/adapters/postgres-log-writer.ts";
import { postgresProofs } from "../src/adapters/postgres-proofs.ts";
import { signingKeyFile } from "../src/adapters/signing-key-file.ts";
import type { LogLeaf } from "../src/domain/log-leaf.ts";
import type { LogRecord } from "../src/domain/record.ts";
import { type HeadDependencies, headStep, rotateKey } from "../src/flows/heads.ts";
import { prover } from "../src/flows/prove.ts";
import type { HeadPlace } from "../src/ports.ts";
import { intentRecord, outcomeRecord, poolOf, prepared, requestId } from "./support.ts";

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
let dataDir: string;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await prepared(await server.freshDatabase());
  dataDir = mkdtempSync(join(tmpdir(), "weir-heads-"));
  return () => rmSync(dataDir, { recursive: true, force: true });
});

interface Log extends AsyncDisposable {
  readonly pool: pg.Pool;
  readonly failures: unknown[];
  readonly deps: HeadDependencies;
  readonly step: () => Promise<void>;
  readonly append: (records: readonly LogRecord[]) => Promise<unknown>;
}

function openLog(places: readonly HeadPlace[] = []): Log {
  const pool = poolOf(database, "weir_audit");
  const failures: unknown[] = [];
  const deps: HeadDependencies = {
    store: postgresHeads(pool, sha256),
    keys: signingKeyFile(dataDir, sha256),
    places,
    sha256,
    nowMs: () => 1_760_000_000_000,
    events: {
      signed: () => undefined,
      headFailed: (error) => void failures.push(error),
      published: () => undefined,
      placeFailed: (_, error) => void failures.push(error),
    },
  };
  const writer = postgresLogWriter(pool);
  return {
    pool,
    failures,
    deps,
    step: () => headStep(deps),
    append: (records) => writer.append(records),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

/** Records of three producers without a gap: every fourth an intent alone, the others outcomes that carry an intent never sent alone. */
function recordsOf(count: number, from = 0): LogRecord[] {
  const last = [0, 0, 0];
  return Array.from({ length: from + count }, (_, seed) => {
    const producer = seed % 3;
    const number = (last[producer] ?? 0) + (seed % 4 === 0 ? 1 : 2);
    last[producer] = number;
    return seed % 4 === 0
      ? intentRecord(`p${producer}`, number, { seed })
      : outcomeRecord(`p${producer}`, number, number - 1, { seed });
  }).slice(from);
}

async function exportOf(pool: pg.Pool): Promise<LogLeaf[]> {
  const proofs = postgresProofs(pool, sha256);
  const leaves: LogLeaf[] = [];
  const size = await proofs.size();
  for (let at = 0; at < size; ) {
    const part = await proofs.leaves(at, size, false);
    if (part.length === 0) break;
    leaves.push(...part);
    at = (part.at(-1) as LogLeaf).index + 1;
  }
  return leaves;
}

const EMPTY = sha256(new Uint8Array(0));

async function problemsOf(
  pool: pg.Pool,
  heads: readonly SignedHead[],
  trusted: Uint8Array,
  keys: readonly EndorsedKey[] = [],
): Promise<readonly Problem[]> {
  const verifier = new LogVerifier(sha256, verifySignature, [trusted], keys, heads);
  for (const leaf of await exportOf(pool)) {
    const payloadDigest = leaf.payloadDigest.length === 0 ? EMPTY : leaf.payloadDigest;
    verifier.take({ ...leaf, payloadDigest, closes: leaf.kind === 6, predecessor: undefined });
  }
  return verifier.finish().problems;
}

test("a head is signed when the log has grown, and goes on from the last one whatever process makes it", async () => {
  const sizes = [1, 255, 256, 700, 701];
  let size = 0;
  for (const next of sizes) {
    // Another process each time: nothing but the database and the key file goes over.
    await using log = openLog();
    await log.append(recordsOf(next - size, size));
    await log.step();
    await log.step();
    expect(log.failures).toEqual([]);
    size = next;
  }
  await using log = openLog();
  const proofs = postgresProofs(log.pool, sha256);
  const heads = (await proofs.heads(100, undefined)).toReversed();
  expect(heads.map((head) => head.size)).toEqual(sizes);
  const [key] = await proofs.signingKeys();
  expect(await problemsOf(log.pool, heads, key?.publicKey as Uint8Array)).toEqual([]);
  const previous = heads.map((head) => parseHead(head.head)?.previous);
  expect(previous.slice(1).map(String)).toEqual(heads.slice(0, -1).map((head) => String(sha256(head.head))));
});

test("proofs of any record under any head, and of any head under a later one, hold", async () => {
  await using log = openLog();
  const sizes = [3, 260, 600];
  for (const [at, size] of sizes.entries()) {
    const from = sizes[at - 1] ?? 0;
    await log.append(recordsOf(size - from, from));
    await log.step();
  }
  const prove = prover(postgresProofs(log.pool, sha256), sha256);
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.constantFrom(0, 1, 2), fc.constantFrom(0, 1, 2), async (pick, a, b) => {
      const [first, second] = [sizes[Math.min(a, b)] ?? 0, sizes[Math.max(a, b)] ?? 0];
      const index = pick % first;
      const inclusion = await prove.inclusion(index, first);
      const { root } = parseHead(inclusion.head.head) as { root: Uint8Array };
      const leafHash = inclusion.leaf.storedHash;
      expect(verifyInclusion(sha256, { leafHash, index, size: first, path: inclusion.path, root })).toBe(true);
      const consistency = await prove.consistency(first, second);
      const firstRoot = parseHead(consistency.first.head)?.root as Uint8Array;
      const secondRoot = parseHead(consistency.second.head)?.root as Uint8Array;
      expect(verifyConsistency(sha256, { first, second, firstRoot, secondRoot, path: consistency.path })).toBe(true);
    }),
    { numRuns: 60 },
  );
  const found = await prove.inclusionOfRequest(requestId({ seed: 17 }), 0);
  expect(found.leaf).toMatchObject({ index: 17, columns: { requestId: requestId({ seed: 17 }) } });
  await log.append(recordsOf(1, 600));
  await expect(prove.inclusion(600, 0)).rejects.toMatchObject({ reason: "not_found" });
  await expect(prove.inclusion(5, 4)).rejects.toThrow("no tree head of size 4");
  await expect(prove.inclusionOfRequest(requestId({ seed: 9_999 }), 0)).rejects.toMatchObject({ reason: "not_found" });
  await expect(prove.consistency(600, 3)).rejects.toMatchObject({ reason: "invalid_request" });
});

test("keys rotate: the new one is endorsed, an auditor with the first key believes both; a lost one leaves no endorsement", async () => {
  await using log = openLog();
  await log.append(recordsOf(4));
  await log.step();
  const second = await rotateKey(log.deps, false);
  await log.append(recordsOf(4, 4));
  await log.step();
  const proofs = postgresProofs(log.pool, sha256);
  const keys = await proofs.signingKeys();
  expect(keys.map((key) => key.endorsement.length)).toEqual([0, 64]);
  const heads = (await proofs.heads(10, undefined)).toReversed();
  expect(heads.map((head) => Buffer.from(head.keyId).toString("hex"))).toEqual(
    keys.map((key) => Buffer.from(key.id).toString("hex")),
  );
  expect(Buffer.from(second?.id ?? []).toString("hex")).toBe(Buffer.from(keys[1]?.id ?? []).toString("hex"));
  const trusted = keys[0]?.publicKey as Uint8Array;
  expect((await problemsOf(log.pool, heads, trusted, keys.slice(1))).filter(({ kind }) => kind === "bad-head")).toEqual(
    [],
  );
  expect(await problemsOf(log.pool, heads, trusted)).toContainEqual(
    expect.objectContaining({ kind: "bad-head", head: 1 }),
  );

  // Its file is gone: no head is signed with a made-up key, and the operator is told what to do.
  renameSync(join(dataDir, "audit-signing.key"), join(dataDir, "elsewhere"));
  await log.append(recordsOf(1, 8));
  await log.step();
  expect(String(log.failures[0])).toContain("restore it, or begin a new one");
  await rotateKey(log.deps, true);
  await log.step();
  expect(log.failures).toHaveLength(1);
  expect((await proofs.signingKeys()).map((key) => key.endorsement.length)).toEqual([0, 64, 0]);
});

test("a rotation that died after the database knew the new key is finished by the next head", async () => {
  await using log = openLog();
  await log.append(recordsOf(2));
  await log.step();
  await rotateKey(log.deps, false);
  expect(readFileSync(join(dataDir, "audit-signing.next.key"), "utf8")).toContain("PRIVATE KEY");
  await log.append(recordsOf(2, 2));
  await using after = openLog();
  await after.step();
  expect(after.failures).toEqual([]);
  expect(() => readFileSync(join(dataDir, "audit-signing.next.key"))).toThrow("ENOENT");
});

test("every head reaches every place in order, also those signed while it was away", async () => {
  const seen: number[] = [];
  let away = true;
  const witness = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      if (!away) seen.push((JSON.parse(body) as { size: number }).size);
      response.writeHead(away ? 503 : 204).end();
    });
  });
  await new Promise<void>((resolve) => witness.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = witness.address() as AddressInfo;
    const file = join(dataDir, "heads", "tree-heads.jsonl");
    await using log = openLog([webhookHeadPlace(`http://127.0.0.1:${port}/heads?token=secret`), fileHeadPlace(file)]);
    for (const at of [0, 1, 2]) {
      await log.append(recordsOf(2, 2 * at));
      if (at === 2) away = false;
      await log.step();
    }
    expect(seen).toEqual([2, 4, 6]);
    expect(log.failures).toHaveLength(2);
    expect(String(log.failures[0])).not.toContain("secret");
    const lines = readFileSync(file, "utf8").trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { size: number }).size)).toEqual([2, 4, 6]);
    await log.step();
    expect(seen).toHaveLength(3);
  } finally {
    witness.close();
  }
});

/** What an owner of the tables can do to one leaf, or to the order of two. */
const TAMPERING: Readonly<Record<string, (at: number, other: number) => string>> = {
  header: (at) => `update audit_record set header = header || '\\x00' where index = ${at}`,
  "header and hash": (at) =>
    `update audit_record set header = set_byte(header, 3, 255 - get_byte(header, 3)) where index = ${at};
     update audit_leaf set hash = sha256(hash) where index = ${at}`,
  hash: (at) => `update audit_leaf set hash = sha256(hash) where index = ${at}`,
  number: (at) => `update audit_leaf set number = number + 100000 where index = ${at}`,
  digest: (at) => `update audit_record set payload_digest = sha256('x') where index = ${at}`,
  delete: (at) => `delete from audit_record where index = ${at}; delete from audit_leaf where index = ${at}`,
  "delete and close up": (at) =>
    `delete from audit_record where index = ${at}; delete from audit_leaf where index = ${at};
     update audit_leaf set index = -index where index > ${at}; update audit_leaf set index = -index - 1 where index < 0;
     update audit_record set index = -index where index > ${at}; update audit_record set index = -index - 1 where index < 0`,
  insert: (at) =>
    `insert into audit_leaf select (select max(index) + 1 from audit_leaf), number + 500000, intent_number, producer, intent_producer, kind, hash
       from audit_leaf where index = ${at};
     update audit_leaf set index = -1 - index where index >= ${at};
     update audit_leaf set index = case when number >= 500000 then ${at} else -index end where index < 0;
     update audit_record set index = -1 - index where index >= ${at}; update audit_record set index = -index where index < 0;
     insert into audit_record (index, at_ms, cost_nanos, input_tokens, output_tokens, status, outcome, kind, payload_omitted, repeated, workspace, key_id, model, provider, header)
       select ${at}, at_ms, cost_nanos, input_tokens, output_tokens, status, outcome, kind, payload_omitted, repeated, workspace, key_id, model, provider, header
       from audit_record where index = ${at} + 1`,
  swap: (at, other) =>
    `update audit_leaf set index = -1 where index = ${at}; update audit_leaf set index = ${at} where index = ${other};
     update audit_leaf set index = ${other} where index = -1;
     update audit_record set index = -1 where index = ${at}; update audit_record set index = ${at} where index = ${other};
     update audit_record set index = ${other} where index = -1`,
  truncate: (at) => `delete from audit_record where index >= ${at}; delete from audit_leaf where index >= ${at}`,
};

test("1,000 random changes by the tables' owner, each found from an export, two heads and a public key", async () => {
  const count = 60;
  await using log = openLog();
  await log.append(recordsOf(40));
  await log.step();
  await log.append(recordsOf(count - 40, 40));
  await log.step();
  const proofs = postgresProofs(log.pool, sha256);
  const heads = (await proofs.heads(2, undefined)).toReversed();
  const trusted = (await proofs.signingKeys())[0]?.publicKey as Uint8Array;
  const untouched = await problemsOf(log.pool, heads, trusted);
  expect(untouched).toEqual([]);

  await using owner = poolOf(database);
  const client = await owner.connect();
  const disarm = ["audit_leaf", "audit_record"]
    .flatMap((table) => ["deny_row", "deny_statement"].map((name) => `alter table ${table} disable trigger ${name}`))
    .join("; ");
  await client.query(disarm);
  let runs = 0;
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(TAMPERING)),
        fc.nat(count - 1),
        fc.integer({ min: 1, max: count - 1 }),
        async (how, at, distance) => {
          await client.query("begin");
          try {
            await client.query((TAMPERING[how] as (a: number, b: number) => string)(at, (at + distance) % count));
            // The same connection reads what it did not commit.
            const problems = await problemsOf(client as unknown as pg.Pool, heads, trusted);
            expect(problems.length, how).toBeGreaterThan(0);
            runs++;
            if (how !== "delete" && how !== "delete and close up") return;
            const gone = recordsOf(count)[at] as LogRecord;
            const named = problems.some(
              (problem) =>
                (problem.kind === "missing-record" &&
                  problem.producer === gone.producer &&
                  problem.first <= gone.number &&
                  gone.number <= problem.last) ||
                (problem.kind === "broken-promise" &&
                  problem.producer === gone.producer &&
                  problem.found < gone.number &&
                  gone.number <= problem.promised),
            );
            expect(named, `${gone.producer} #${gone.number}`).toBe(true);
          } finally {
            await client.query("rollback");
          }
        },
      ),
      { numRuns: 1_000 },
    );
  } finally {
    client.release();
  }
  expect(runs).toBeGreaterThanOrEqual(1_000);
}, 240_000);

test("NATS keeps each head as an object, in the order of the heads' sizes", async () => {
  await using nats = await startNats();
  await using bucket = jetStreamObjects(nats.url, HEAD_BUCKET, "test");
  await using log = openLog([natsHeadPlace(bucket)]);
  for (const at of [0, 1]) {
    await log.append(recordsOf(2, 2 * at));
    await expect.poll(async () => (await log.step(), log.failures.splice(0).length), { timeout: 20_000 }).toBe(0);
  }
  const connection = await connect({ servers: nats.url });
  try {
    const store = await new Objm(jetstream(connection)).open(HEAD_BUCKET);
    const names = (await store.list()).map(({ name }) => name).toSorted();
    expect(names).toEqual(["head-0000000000000002.json", "head-0000000000000004.json"]);
    const last = await store.getBlob(names[1] ?? "");
    expect(JSON.parse(new TextDecoder().decode(last ?? new Uint8Array(0)))).toMatchObject({
      weir_tree_head: 1,
      size: 4,
    });
  } finally {
    await connection.close();
  }
});
