/** Payloads are stored as they came and opened only for an operator who asks, by whoever has the key. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { encodeFrames, memoryBus } from "@weir/events";
import { Secret } from "@weir/kernel";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { createSealer, subjectDigest } from "@weir/sealing";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createAudit } from "../src/index.ts";
import { outcomeFrame, poolOf, requestId, sealedBefore, SETTINGS } from "./support.ts";

const TOKEN = "operator-token";
const MESH_TOKEN = "mesh-token";
const headers = { authorization: `Bearer ${TOKEN}` };

let server: BackingPostgres;
let database: { connectionString: string };
let dataDir: string;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  database = { connectionString: await server.freshDatabase() };
  dataDir = mkdtempSync(join(tmpdir(), "weir-audit-"));
  return () => rmSync(dataDir, { recursive: true, force: true });
});

type AuditClient = Client<typeof audit.AuditService>;

/** A new instance over the same database and data folder. */
async function withAudit<T>(use: (client: AuditClient, send: (data: Uint8Array) => Promise<void>) => Promise<T>) {
  await using bus = memoryBus({ consumers: ["audit"] });
  const telemetry = createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });
  const config = { adminToken: new Secret(TOKEN), dataDir, audit: SETTINGS };
  await using service = await createAudit({ config, telemetry, database, bus });
  await service.start();
  await using running = await serveRoutes(service.routes, {
    listen: { host: "127.0.0.1", port: 0 },
    token: new Secret(MESH_TOKEN),
    validate: [audit.AuditService],
  });
  await using peers = networkPeers({
    addresses: () => `http://127.0.0.1:${running.port}`,
    token: new Secret(MESH_TOKEN),
  });
  return await use(peers.client(audit.AuditService), (data) => bus.publish({ producer: "p", first: 1, last: 9, data }));
}

const payload = create(audit.PayloadSchema, {
  request: { contentType: "application/json", data: Buffer.from('{"q":"ü"}'), size: 10n },
  answer: { contentType: "text/event-stream", size: 1_000_000n, omitted: true },
});

const SUBJECT = subjectDigest({ workspaceId: "workspace", endUser: "ann" });

/** Seals to the key the service tells, and stores. @returns what was stored */
async function kept(
  client: AuditClient,
  send: (data: Uint8Array) => Promise<void>,
  belongsTo = requestId({ seed: 1 }),
) {
  const { publicKey } = await client.transportKey({}, { headers });
  const sealed = createSealer(publicKey, () => 0).seal(toBinary(audit.PayloadSchema, payload), belongsTo, SUBJECT);
  await send(encodeFrames([{ ...outcomeFrame(2, 1, { seed: 1 }), payload: sealed, payloadOmitted: true }]));
  await expect.poll(async () => (await client.list({}, { headers })).entries.length, { timeout: 10_000 }).toBe(1);
  return sealed;
}

const get = async (client: AuditClient, includePayload: boolean): Promise<audit.Entry | undefined> =>
  (await client.get({ requestId: requestId({ seed: 1 }).toUpperCase(), includePayload }, { headers })).entries[0];

const failureOf = async (client: AuditClient): Promise<{ code: Code; message: string } | undefined> => {
  try {
    await get(client, true);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return { code: error.code, message: error.rawMessage };
  }
};

test("the key is made once, for its owner only; its public half is told to operators and producers", async () => {
  const path = join(dataDir, "audit-transport.key");
  const first = await withAudit(async (client) => {
    expect(existsSync(path)).toBe(false);
    return (await client.transportKey({}, { headers })).publicKey;
  });
  expect(first).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await withAudit(async (client) => (await client.transportKey({}, { headers })).publicKey)).toEqual(first);
});

test("stored as it came, opened for an operator who asks, also by a later process", async () => {
  const sealed = await withAudit(kept);
  await using pool = poolOf(database);
  const { rows } = await pool.query<{ sealed: Buffer }>("select sealed from audit_payload");
  expect(rows.map((row) => row.sealed.equals(sealed))).toEqual([true]);
  await withAudit(async (client) => {
    const entry = await get(client, true);
    expect(entry?.payload).toEqual(payload);
    expect(entry?.payloadOmitted).toBe(true);
    expect((await get(client, false))?.payload).toBeUndefined();
    const stranger = client.get({ requestId: requestId({ seed: 1 }), includePayload: true });
    await expect(stranger).rejects.toMatchObject({ code: Code.Unauthenticated });
  });
});

test("a missing, a wrong and a broken key are clear errors; the entry itself can be read all the same", async () => {
  await withAudit(kept);
  const folder = join(dataDir, "audit-subject-keys");
  const path = join(folder, "1.key");
  const key = readFileSync(path);
  const other = Buffer.concat([randomBytes(32), Buffer.alloc(8)]);
  const cases: [change: () => void, code: Code, message: RegExp][] = [
    [() => writeFileSync(path, other), Code.NotFound, /under another key/],
    [() => writeFileSync(path, "no key"), Code.Internal, /another audit.payload_key/],
  ];
  for (const [change, code, message] of cases) {
    change();
    await withAudit(async (client) => {
      expect(await failureOf(client)).toEqual({ code, message: expect.stringMatching(message) as string });
      expect((await get(client, false))?.kind).toBe(audit.RecordKind.OUTCOME);
    });
  }
  writeFileSync(path, key);
  // The key that it was sealed to is not needed any more.
  rmSync(join(dataDir, "audit-transport.key"));
  await withAudit(async (client) => expect((await get(client, true))?.payload).toEqual(payload));
  rmSync(folder, { recursive: true });
  await withAudit(async (client) => {
    expect(await failureOf(client)).toEqual({
      code: Code.NotFound,
      message: expect.stringMatching(/under generation 1, which is not in/) as string,
    });
  });
  // A number that stands for a lost key is never used again.
  expect(readdirSync(folder)).toEqual(["2.key"]);
});

test("a payload of before subjects had keys is opened by its transport key, or the error names that", async () => {
  await withAudit(async (client, send) => {
    const { publicKey } = await client.transportKey({}, { headers });
    const sealed = sealedBefore(publicKey, toBinary(audit.PayloadSchema, payload), requestId({ seed: 1 }));
    await send(encodeFrames([{ ...outcomeFrame(2, 1, { seed: 1 }), payload: sealed }]));
    await expect.poll(async () => (await client.list({}, { headers })).entries.length, { timeout: 10_000 }).toBe(1);
    expect((await get(client, true))?.payload).toEqual(payload);
  });
  rmSync(join(dataDir, "audit-transport.key"));
  await withAudit(async (client) => {
    expect(await failureOf(client)).toEqual({
      code: Code.NotFound,
      message: expect.stringMatching(/sealed to the key [0-9a-f]{16}, which is not in/) as string,
    });
  });
});

test("a payload that was sealed for another request is refused", async () => {
  await withAudit(async (client, send) => {
    await kept(client, send, requestId({ seed: 2 }));
    expect(await failureOf(client)).toEqual({
      code: Code.Internal,
      message: expect.stringMatching(/belongs to another request/) as string,
    });
  });
});
