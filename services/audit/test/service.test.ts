import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { type Batch, type BatchHandler, encodeFrames } from "@weir/events";
import { Secret } from "@weir/kernel";
import { networkPeers, type Service, serveRoutes } from "@weir/mesh";
import { createTelemetry } from "@weir/telemetry";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createAudit } from "../src/index.ts";
import { frame, outcomeFrame, outcomeHeader, poolOf, requestId, SETTINGS } from "./support.ts";

const TOKEN = "operator-token";

let server: BackingPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const quiet = () => createTelemetry({ service: "test", level: "silent", env: {}, processMetrics: false });

/** Stands for the bus: the test delivers by hand, so that it decides what comes when, and how often. */
function handBus() {
  let handler: BatchHandler | undefined;
  return {
    subscribe: (_consumer: string, next: BatchHandler) => {
      handler = next;
      return Promise.resolve({
        lastError: undefined,
        deadLetters: 0,
        async [Symbol.asyncDispose]() {
          handler = undefined;
        },
      });
    },
    get subscribed() {
      return handler !== undefined;
    },
    deliver(batches: Batch[]): Promise<void> {
      if (handler === undefined) throw new Error("nobody subscribed");
      return handler(batches);
    },
  };
}

function batchOf(producer: string, first: number, count: number): Batch {
  const frames = Array.from({ length: count }, (_, index) =>
    outcomeFrame(first + 2 * index + 1, first + 2 * index, { seed: first + index }),
  );
  return { producer, first, last: first + 2 * count - 1, data: encodeFrames(frames) };
}

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "weir-audit-"));
  return () => rmSync(dataDir, { recursive: true, force: true });
});

async function audited(url: string, token = TOKEN) {
  const adminToken = token === "" ? undefined : new Secret(token);
  const bus = handBus();
  const telemetry = quiet();
  const service = await createAudit({
    config: { adminToken, dataDir, audit: SETTINGS },
    telemetry,
    database: { connectionString: url },
    bus,
  });
  await service.start();
  return Object.assign(service, { bus, telemetry });
}

async function withClient<T>(
  service: Service,
  use: (client: Client<typeof audit.AuditService>) => Promise<T>,
): Promise<T> {
  await using running = await serveRoutes(service.routes, {
    listen: { host: "127.0.0.1", port: 0 },
    validate: [audit.AuditService],
  });
  await using peers = networkPeers({ addresses: () => `http://127.0.0.1:${running.port}` });
  return await use(peers.client(audit.AuditService));
}

const codeOf = (error: unknown): Code | undefined => (error instanceof ConnectError ? error.code : undefined);

test("operators read the log with the admin token only; producers ask for watermarks without it", async () => {
  await using service = await audited(await server.freshDatabase());
  await service.bus.deliver([batchOf("p", 1, 3)]);
  await withClient(service, async (client) => {
    const id = requestId({ seed: 2 });
    const calls = (headers: Record<string, string>): Promise<unknown>[] => [
      client.get({ requestId: id }, { headers }),
      client.list({}, { headers }),
      client.gaps({}, { headers }),
      client.summarize({}, { headers }),
      client.watermark({ producers: ["p"] }, { headers }),
      client.transportKey({}, { headers }),
    ];
    for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: TOKEN }]) {
      for (const call of calls(headers)) {
        expect(codeOf(await call.catch((error: unknown) => error))).toBe(Code.Unauthenticated);
      }
    }
    const headers = { authorization: `Bearer ${TOKEN}` };
    const [entry] = (await client.get({ requestId: id }, { headers })).entries;
    expect(entry).toMatchObject({ producer: "p", number: 4n, intentNumber: 3n, kind: audit.RecordKind.OUTCOME });
    expect(entry?.record).toMatchObject({ case: "outcome", value: { status: 200, intent: { requestId: id } } });
    expect((await client.list({ pageSize: 2 }, { headers })).entries.length).toBe(2);
    expect((await client.gaps({}, { headers })).gaps).toEqual([]);
    expect((await client.summarize({}, { headers })).models).toMatchObject([{ requests: 3n, costNanos: 3_000n }]);
    expect((await client.watermark({ producers: ["p"] }, { headers })).marks).toMatchObject([
      { producer: "p", contiguous: 6n },
    ]);
  });
});

/** Of calls that run already: undefined for one that is answered. */
const codesOf = (calls: readonly Promise<unknown>[]): Promise<(Code | undefined)[]> =>
  Promise.all(calls.map((call) => call.then(() => undefined, codeOf)));

test("retention and holds are for operators, and what cannot be meant is refused as such", async () => {
  await using service = await audited(await server.freshDatabase());
  await using running = await serveRoutes(service.routes, {
    listen: { host: "127.0.0.1", port: 0 },
    validate: [audit.RetentionService],
  });
  await using peers = networkPeers({ addresses: () => `http://127.0.0.1:${running.port}` });
  const client = peers.client(audit.RetentionService);
  const run = async (headers: Record<string, string>): Promise<void> => {
    for await (const _ of client.runRetention({ dryRun: true }, { headers }));
  };
  const id = "0199e5a0-0000-7000-8000-000000000000";
  for (const headers of [{}, { authorization: "Bearer wrong" }]) {
    const calls = [
      client.setRetention({ recordsMs: 60_000n }, { headers }),
      client.listRetention({}, { headers }),
      run(headers),
      client.placeLegalHold({ workspaceId: "w", reason: "x" }, { headers }),
      client.releaseLegalHold({ id, reason: "x" }, { headers }),
      client.listLegalHolds({}, { headers }),
    ];
    expect(new Set(await codesOf(calls))).toEqual(new Set([Code.Unauthenticated]));
  }
  const headers = { authorization: `Bearer ${TOKEN}` };
  const hostile = [
    client.setRetention({ recordsMs: 59_999n }, { headers }),
    client.setRetention({ recordsMs: -1n }, { headers }),
    client.setRetention({ payloadsMs: 2n ** 62n }, { headers }),
    client.setRetention({ inherits: true }, { headers }),
    client.setRetention({ workspaceId: "w", inherits: true, recordsMs: 60_000n }, { headers }),
    client.setRetention({ workspaceId: "w\u0000" }, { headers }),
    client.setRetention({ workspaceId: "w\u001f" }, { headers }),
    client.setRetention({ workspaceId: "w".repeat(257) }, { headers }),
    client.placeLegalHold({ workspaceId: "", reason: "x" }, { headers }),
    client.placeLegalHold({ workspaceId: "w", reason: "" }, { headers }),
    client.placeLegalHold({ workspaceId: "w", reason: "x\u0000" }, { headers }),
    client.placeLegalHold({ workspaceId: "w", reason: "x", fromMs: 5n, toMs: 5n }, { headers }),
    client.placeLegalHold({ workspaceId: "w", reason: "x", fromMs: -5n }, { headers }),
    client.releaseLegalHold({ id: "x", reason: "x" }, { headers }),
  ];
  expect(await codesOf(hostile)).toEqual(hostile.map(() => Code.InvalidArgument));
  const unknown = client.releaseLegalHold({ id, reason: "x" }, { headers });
  expect(codeOf(await unknown.catch((error: unknown) => error))).toBe(Code.NotFound);
  await run(headers);
  const { state } = await client.setRetention({ workspaceId: "w", recordsMs: 60_000n }, { headers });
  expect(state).toMatchObject({ policy: { recordsMs: 60_000n }, effectiveRecordsMs: 0n });
  const { hold } = await client.placeLegalHold({ workspaceId: "w", reason: "x; drop table audit_leaf" }, { headers });
  expect((await client.listLegalHolds({}, { headers })).holds).toMatchObject([{ index: hold?.index }]);
});

test("without an admin token nobody reads the log", async () => {
  await using service = await audited(await server.freshDatabase(), "");
  await withClient(service, async (client) => {
    const headers = { authorization: "Bearer undefined" };
    expect(codeOf(await client.list({}, { headers }).catch((error: unknown) => error))).toBe(Code.PermissionDenied);
    const marks = client.watermark({ producers: ["p"] }, { headers });
    expect(codeOf(await marks.catch((error: unknown) => error))).toBe(Code.PermissionDenied);
  });
});

test("a bad frame among good ones becomes a quarantined leaf, and those behind it are stored", async () => {
  await using service = await audited(await server.freshDatabase());
  const good = batchOf("p", 1, 3);
  const bytes = Buffer.concat([good.data, Buffer.from("no frame at all"), batchOf("p", 7, 2).data]);
  const unreadable = encodeFrames([frame({ kind: 3, number: 11, header: Buffer.from("ff", "hex") })]);
  const batches = [
    { producer: "p", first: 1, last: 10, data: bytes },
    { producer: "p", first: 11, last: 11, data: unreadable },
  ];
  await service.bus.deliver(batches);
  await service.bus.deliver(batches);
  await withClient(service, async (client) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const { entries } = await client.list({ kind: audit.RecordKind.QUARANTINED }, { headers });
    expect(
      entries.map(({ producer, number }) => [producer, number]).toSorted(([, a], [, b]) => Number(a) - Number(b)),
    ).toEqual([
      ["p", 0n],
      ["p", 11n],
    ]);
    expect((await client.list({ kind: audit.RecordKind.OUTCOME }, { headers })).entries.length).toBe(5);
    expect((await client.watermark({ producers: ["p"] }, { headers })).marks).toMatchObject([{ contiguous: 11n }]);
  });
});

test("one frame in a hundred is bad: each is a leaf with its producer and number, and nobody behind them waits", async () => {
  await using service = await audited(await server.freshDatabase());
  const bad = new Set(Array.from({ length: 10 }, (_, at) => 37 + 100 * at));
  for (let first = 1; first <= 1_000; first += 50) {
    const frames = Array.from({ length: 50 }, (_, at) => {
      const number = first + at;
      return bad.has(number)
        ? frame({ kind: 3, number, header: Buffer.from("ff", "hex") })
        : frame({ kind: 3, number, header: outcomeHeader({ seed: number }) });
    });
    await service.bus.deliver([{ producer: "p", first, last: first + 49, data: encodeFrames(frames) }]);
  }
  await withClient(service, async (client) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const { entries } = await client.list({ kind: audit.RecordKind.QUARANTINED }, { headers });
    expect(entries.map(({ number }) => Number(number)).toSorted((a, b) => a - b)).toEqual([...bad]);
    expect(new Set(entries.map(({ producer }) => producer))).toEqual(new Set(["p"]));
    expect((await client.watermark({ producers: ["p"] }, { headers })).marks).toMatchObject([{ contiguous: 1_000n }]);
    expect((await client.gaps({}, { headers })).gaps).toEqual([]);
  });
});

test("a database killed again and again while records are consumed loses none and doubles none", async () => {
  await using own = await startPostgres();
  await using service = await audited(own.url);
  const TOTAL = 120;
  const PER_BATCH = 25;
  let done = 0;
  const delivering = (async () => {
    for (let index = 0; index < TOTAL; index++) {
      const batch = batchOf("p", 1 + index * 2 * PER_BATCH, PER_BATCH);
      await service.bus.deliver(index % 3 === 0 ? [batch, batch] : [batch]);
      done++;
    }
  })();
  for (const at of [10, 50, 90]) {
    await expect.poll(() => done, { timeout: 30_000, interval: 1 }).toBeGreaterThanOrEqual(at);
    await own.kill();
    await expect.poll(() => service.notReady(), { timeout: 10_000 }).toContain("away");
    const before = done;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(done).toBe(before); // nothing is acknowledged, and nothing more is asked for
    await own.restart();
  }
  await delivering;
  await expect.poll(() => service.notReady(), { timeout: 10_000 }).toBeUndefined();
  await using pool = poolOf({ connectionString: own.url });
  const { rows } = await pool.query<{ records: string; numbers: string; top: string }>(
    "select count(*) as records, count(distinct number) as numbers, max(index) as top from audit_leaf",
  );
  const expected = String(TOTAL * PER_BATCH);
  expect(rows).toEqual([{ records: expected, numbers: expected, top: String(TOTAL * PER_BATCH - 1) }]);
}, 90_000);

test("it starts while the database is away, says so, and consumes once it is there", async () => {
  await using own = await startPostgres();
  await own.stop();
  await using service = await audited(own.url);
  expect(service.notReady()).toContain("away");
  expect(service.bus.subscribed).toBe(false);
  await withClient(service, async (client) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const error = await client.watermark({ producers: ["p"] }, { headers }).catch((failure: unknown) => failure);
    expect(codeOf(error)).toBe(Code.Unavailable);
  });
  await own.restart();
  await expect.poll(() => service.bus.subscribed, { timeout: 20_000 }).toBe(true);
  await service.bus.deliver([batchOf("p", 1, 3)]);
  expect(service.notReady()).toBeUndefined();
}, 60_000);

test("a service that ends while its store is away rejects what it holds, so that it is delivered again", async () => {
  await using own = await startPostgres();
  const service = await audited(own.url);
  await own.kill();
  const delivered = service.bus.deliver([batchOf("p", 1, 3)]).then(
    () => "acknowledged",
    () => "rejected",
  );
  await expect.poll(() => service.notReady(), { timeout: 10_000 }).toContain("away");
  await service[Symbol.asyncDispose]();
  expect(await delivered).toBe("rejected");
}, 60_000);
