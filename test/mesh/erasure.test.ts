/**
 * Row 10 of what must hold: after an erasure nothing of its subject can be read in any store, with any key that is left, and all proofs hold. Another
 * subject's texts are as they were.
 */
import { hkdfSync } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { audit } from "@weir/contracts";
import { run } from "@weir/cli";
import { createOpener, openWithKey, privateKeyOf, SealError, unwrap } from "@weir/sealing";
import { COMPOSITIONS, startNats, startPostgres, startRedis } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
const CONFIG = `  kept:
    targets: [{ provider: openai, model: kept }]
    cache: { ttl: 5m }
workspaces: { default: { payloads: full } }
`;

/** The end user's name, what she asked, and what she was told. */
const ANN = { name: "ann-7c21-canary", asked: "wombat-91fe-canary", told: "numbat-3b08-canary" };
const BOB = { name: "bob-55d0-canary", asked: "quokka-c417-canary", told: "bilby-e2a9-canary" };
type Person = typeof ANN;

const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((file) => file.isFile())
        .map((file) => join(file.parentPath, file.name))
    : [];

function filesWith(folder: string, texts: readonly string[]): string[] {
  return filesBelow(folder).filter((path) => {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      // Removed since it was listed.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      return false;
    }
    return texts.some((text) => bytes.includes(text) || bytes.includes(Buffer.from(text).toString("hex")));
  });
}

/** What a copy of the database has of a payload. */
interface Copied {
  readonly request_id: string;
  readonly sealed: Buffer;
  readonly wrapped_key: Buffer;
  readonly wrapped: Buffer;
}

/** Tries everything in the data folder, with all that was in the database before. @returns what could be read */
function withEveryKey(dataDir: string, { request_id, sealed, wrapped_key, wrapped }: Copied): string | undefined {
  const tries: (() => Buffer)[] = [];
  for (const path of filesBelow(dataDir)) {
    if (!path.endsWith(".key")) continue;
    const bytes = readFileSync(path);
    tries.push(
      () => createOpener(privateKeyOf(bytes)).open(sealed, request_id),
      () => {
        const secret = bytes.subarray(0, 32);
        const over = Buffer.from(hkdfSync("sha256", secret, "", "weir audit subjects wrapping", 32));
        const subject = unwrap(wrapped, over, "subject").subarray(0, 32);
        return openWithKey(sealed, request_id, unwrap(wrapped_key, subject, "payload"));
      },
    );
  }
  for (const open of tries) {
    try {
      return open().toString();
    } catch (error) {
      if (!(error instanceof SealError) && !/private key|X25519/.test(String(error))) throw error;
    }
  }
  return undefined;
}

describe.each(COMPOSITIONS)("%s", (composition) => {
  const stack = new AsyncDisposableStack();
  let whole: Whole;
  let operator: Operator;
  let database: pg.ClientConfig;
  let folder: string;
  let workspace = "";
  const requests = new Map<Person, string[]>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-erased-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const env: Record<string, string> = { WEIR_MESH_TOKEN: MESH_TOKEN, WEIR_AUDIT_HEAD_INTERVAL: "200ms" };
    if (composition === "mesh") {
      env["WEIR_DATABASE_URL"] = stack.use(await startPostgres()).url;
      env["WEIR_REDIS_URL"] = stack.use(await startRedis({ durable: true })).url;
      env["WEIR_NATS_URL"] = stack.use(await startNats()).url;
    }
    whole = stack.use(await bootWhole(composition, { env, config: CONFIG }));
    operator = operatorOf(whole.weir);
    const url = env["WEIR_DATABASE_URL"];
    database =
      url === undefined
        ? { host: join(whole.weir.dataDir, "run"), port: 5432, user: "postgres", database: "postgres" }
        : { connectionString: url };
    workspace = (await operator.policy.listWorkspaces({})).workspaces[0]?.id ?? "";
  });
  afterAll(() => stack.disposeAsync());

  async function query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client(database);
    await client.connect();
    try {
      return (await client.query<Row>(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  async function weir(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
    let [out, err] = ["", ""];
    const code = await run(["audit", ...argv], {
      env: { WEIR_RPC: whole.weir.rpcUrl, WEIR_ADMIN_TOKEN: whole.weir.adminToken, WEIR_MESH_TOKEN: MESH_TOKEN },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    });
    return { code, out, err };
  }

  async function entryOf(requestId: string): Promise<audit.Entry | undefined> {
    await expect.poll(async () => (await outcomesById(operator)).has(requestId), { timeout: 20_000 }).toBe(true);
    return (await operator.audit.get({ requestId, includePayload: true })).entries[0];
  }

  async function says(person: Person, face: (typeof FACES)[number], stream: boolean): Promise<string> {
    whole.simulator.script({ behaviour: { text: person.told } });
    const user = face.name === "messages" ? { metadata: { user_id: person.name } } : { user: person.name };
    const body = { ...face.body("kept", `${person.asked} ${face.name} ${stream}`, stream), ...user };
    const answer = await ask(whole.weir, face.path, body, {
      headers: { "idempotency-key": `${person.asked}-${face.name}-${stream}-${Math.random()}` },
    });
    expect(await answer.text()).toContain(person.told.slice(0, 6));
    expect(answer.status).toBe(200);
    return answer.headers.get("x-weir-request-id") ?? "";
  }

  const textOf = (entry: audit.Entry | undefined): string =>
    Buffer.concat([
      entry?.payload?.request?.data ?? new Uint8Array(0),
      entry?.payload?.answer?.data ?? new Uint8Array(0),
    ]).toString();

  test("two people's texts are kept", async () => {
    const face = FACES[0] as (typeof FACES)[number];
    // Until the ingress knows a key to seal to, texts are omitted.
    const ready = async () => (await entryOf(await says(BOB, face, false)))?.payload !== undefined;
    await expect.poll(ready, { timeout: 30_000 }).toBe(true);
    for (const person of [ANN, BOB]) {
      const ids: string[] = [];
      for (const one of FACES) for (const stream of [false, true]) ids.push(await says(person, one, stream));
      requests.set(person, ids);
      for (const id of ids) expect(textOf(await entryOf(id))).toContain(person.asked);
    }
  });

  /** Whose texts are kept are found by their name. */
  const found = async (person: Person): Promise<string[]> => {
    const { entries } = await operator.audit.list({ workspaceId: workspace, endUser: person.name });
    return entries.map(({ record }) => (record.case === "outcome" ? (record.value.intent?.requestId ?? "") : ""));
  };

  test("what a person said is found by her name, in her workspace", async () => {
    for (const person of [ANN, BOB]) {
      const said = requests.get(person) ?? [];
      expect(await found(person)).toEqual(expect.arrayContaining(said));
    }
    expect(await found(ANN)).toHaveLength(FACES.length * 2);
    const { out } = await weir("list", "--workspace-id", workspace, "--end-user", ANN.name, "--json");
    expect(out).toContain(requests.get(ANN)?.[0]);
    const nobodys = await weir("list", "--end-user", ANN.name);
    expect([nobodys.code, nobodys.err]).toEqual([1, expect.stringContaining("name that, too")]);
  });

  let copied: Copied[] = [];
  let id = "";

  test("the one is erased: at once nobody can read it here, and the other's is as it was", async () => {
    copied = await query<Copied>(
      `select r.request_id, p.sealed, p.wrapped_key, s.wrapped from audit.audit_payload p
       join audit.audit_record r using (index) join audit_keys.subject s on s.id = p.subject
       where r.request_id = any($1::uuid[])`,
      [requests.get(ANN)],
    );
    expect(copied).toHaveLength(FACES.length * 2);
    // What is tried later would have worked.
    for (const one of copied) expect(withEveryKey(whole.weir.dataDir, one)).toContain(ANN.asked);

    const dry = await weir("erase", "--workspace", workspace, "--end-user", ANN.name, "--dry-run");
    expect(dry.out).toContain(`${copied.length} payloads would be unreadable`);
    const done = await weir(
      "erase",
      "--workspace",
      workspace,
      "--end-user",
      ANN.name,
      "--reason",
      "asked for",
      "--json",
    );
    expect(done.err).toBe("");
    expect(done.code).toBe(0);
    id = (JSON.parse(done.out) as { erasing: { id: string } }).erasing.id;
    for (const requestId of requests.get(ANN) ?? []) {
      const entry = await entryOf(requestId);
      expect(entry?.payloadErased).toBe(true);
      expect(entry?.payload).toBeUndefined();
    }
    for (const requestId of requests.get(BOB) ?? []) expect(textOf(await entryOf(requestId))).toContain(BOB.asked);
    expect(await found(ANN)).toEqual([]);
    expect((await found(BOB)).length).toBeGreaterThan(0);
  });

  test("it is complete once ingresses seal to another key and subjects' keys are under another", async () => {
    const runs: string[] = [];
    const complete = async () => {
      const { out } = await weir("erasures", "run");
      runs.push(out);
      return out.includes("all erasures are complete");
    };
    await expect.poll(complete, { timeout: 90_000, interval: 1_000 }).toBe(true);
    expect((await weir("erasures", "list")).out).toMatch(new RegExp(`${id}.* complete `));
    expect(runs[0]).toContain("waits for records of ");
  }, 120_000);

  test("nothing of it is in any store, and no key that is left opens what a copy has", async () => {
    for (const one of copied) expect(withEveryKey(whole.weir.dataDir, one)).toBeUndefined();
    await query("checkpoint");
    const texts = [ANN.name, ANN.asked, ANN.told];
    expect(filesWith(whole.weir.dataDir, texts)).toEqual([]);
    // Postgres with its WAL, JetStream's store, Redis's append-only file: those that this process started.
    const root = join(tmpdir(), `weir-test-${process.getuid?.() ?? "user"}`);
    const stores = existsSync(root) ? readdirSync(root).filter((name) => name.startsWith(`${process.pid}-`)) : [];
    if (composition === "mesh" && stores.length > 0) {
      expect(stores.some((name) => filesBelow(join(root, name)).some((path) => path.includes("pg_wal")))).toBe(true);
      expect(stores.some((name) => filesBelow(join(root, name)).some((path) => path.includes("jetstream")))).toBe(true);
    }
    for (const name of stores) expect(filesWith(join(root, name), texts)).toEqual([]);
    expect(texts.filter((text) => whole.weir.output().includes(text))).toEqual([]);
    for (const requestId of requests.get(BOB) ?? [])
      expect(textOf(await entryOf(requestId))).toContain(BOB.told.slice(0, 6));
  });

  test("all proofs hold: the log as a whole, the erasure, and the records that lost their text", async () => {
    const keys = JSON.parse((await weir("keys", "list", "--json")).out) as { keys: { publicKey: string }[] };
    const key = keys.keys[0]?.publicKey ?? "";
    const proof = join(folder, "erasure.json");
    await expect.poll(async () => (await weir("erasure-proof", id, proof)).code, { timeout: 20_000 }).toBe(0);
    const shown = await weir("verify", proof, "--key", key);
    expect(shown.err).toBe("");
    expect(shown.out).toContain(`erasure ${id}: record`);
    expect(shown.out).toContain(`${copied.length} records lost their text; ${copied.length} of them were looked at`);
    expect(shown.out).toMatch(/destroyed: the subject's key, transport keys to \d+, key generations to \d+/);
    const forged = join(folder, "forged.json");
    writeFileSync(forged, readFileSync(proof, "utf8").replace(/"indexes":\["\d+",/, '"indexes":['));
    expect((await weir("verify", forged, "--key", key)).code).toBe(1);
    const log = join(folder, "log.jsonl");
    expect((await weir("export", log, "--payloads")).code).toBe(0);
    const verdict = await weir("verify", log, "--key", key);
    expect(`${verdict.out}${verdict.err}`).toContain("nothing missing, nothing changed");
    expect(verdict.code).toBe(0);
    expect(readFileSync(log, "utf8")).not.toContain(ANN.name);
  });
});
