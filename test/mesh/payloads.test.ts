/** A workspace that chose `full` gets back what was said, byte for byte; on the way there it lies nowhere in clear. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { sizeDelimitedDecodeStream } from "@bufbuild/protobuf/wire";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { audit, common, ingress, policy } from "@weir/contracts";
import { run } from "@weir/cli";
import { type BackingPostgres, COMPOSITIONS, startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CANARY = "quokka-41d2e8-canary";
/** In headers of records, which are in clear: what is looked for would be found. */
const TAG = "wombat-5b3c70-tag";
const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
const FITS = 200 * 1024;

function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .filter((path) => existsSync(path) && readFileSync(path).includes(text));
}

const textOf = (body: audit.Body | undefined): string => Buffer.from(body?.data ?? []).toString();

describe.each(COMPOSITIONS)("%s", (composition) => {
  let postgres: BackingPostgres | undefined;
  let whole: Whole;
  let operator: Operator;
  let database: pg.ClientConfig;

  beforeAll(async () => {
    const env: Record<string, string> = { WEIR_MESH_TOKEN: MESH_TOKEN };
    if (composition === "mesh") {
      postgres = await startPostgres();
      env["WEIR_DATABASE_URL"] = postgres.url;
    }
    const config = "\nworkspaces: { default: { payloads: full }, discreet: {}, careful: { payloads: redacted } }\n";
    whole = await bootWhole(composition, { env, config });
    operator = operatorOf(whole.weir);
    database =
      postgres === undefined
        ? { host: join(whole.weir.dataDir, "run"), port: 5432, user: "postgres", database: "postgres" }
        : { connectionString: postgres.url };
  });
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  async function said(text: string): Promise<string> {
    const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", text) ?? {});
    await answer.text();
    return answer.headers.get("x-weir-request-id") ?? "";
  }

  /** The one entry of a request, once it is there. */
  async function payloadOf(requestId: string): Promise<audit.Entry | undefined> {
    await expect.poll(async () => (await outcomesById(operator)).has(requestId), { timeout: 20_000 }).toBe(true);
    const { entries } = await operator.audit.get({ requestId, includePayload: true });
    expect(entries).toHaveLength(1);
    return entries[0];
  }

  async function query(sql: string): Promise<pg.QueryResult> {
    const client = new pg.Client(database);
    await client.connect();
    try {
      return await client.query(sql);
    } finally {
      await client.end();
    }
  }

  test("once the key is known texts are kept; what came before is omitted", async () => {
    const kept = async (): Promise<boolean> => {
      const entry = await payloadOf(await said(CANARY));
      expect(entry?.payloadOmitted).toBe(entry?.payload === undefined);
      return entry?.payload !== undefined;
    };
    await expect.poll(kept, { timeout: 20_000 }).toBe(true);
  });

  test.each(FACES)("$name: request and answer come back byte for byte, whole or streamed", async (face) => {
    for (const stream of [false, true]) {
      const body = JSON.stringify(face.body("m-echo", `${CANARY} äöü`, stream));
      const answer = await ask(whole.weir, face.path, body, { headers: { "x-weir-tags": `team=${TAG}` } });
      const text = await answer.text();
      expect(answer.status).toBe(200);
      expect(text).toContain(CANARY.split("-")[0]);
      const entry = await payloadOf(answer.headers.get("x-weir-request-id") ?? "");
      expect(entry?.payloadOmitted).toBe(false);
      expect(entry?.payload?.request?.contentType).toBe("application/json");
      expect(textOf(entry?.payload?.request)).toBe(body);
      expect(entry?.payload?.answer?.contentType).toMatch(stream ? /^text\/event-stream/ : /^application\/json/);
      expect(textOf(entry?.payload?.answer)).toBe(text);
    }
  });

  test("a provider's refusal is kept, too", async () => {
    whole.simulator.script({ behaviour: { status: 400, text: `no ${CANARY}` } });
    const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-openai", "hi") ?? {});
    const text = await answer.text();
    whole.simulator.reset();
    const entry = await payloadOf(answer.headers.get("x-weir-request-id") ?? "");
    expect(textOf(entry?.payload?.answer)).toBe(text);
    expect(text).toContain(CANARY);
  });

  test("typed calls are kept as their protobuf bytes", async () => {
    const transport = createConnectTransport({ baseUrl: whole.weir.rpcUrl, httpVersion: "1.1" });
    const gateway = createClient(ingress.GatewayService, transport);
    const headers = { authorization: `Bearer ${whole.weir.key}` };
    const parts = [{ part: { case: "text" as const, value: { text: CANARY } } }];
    const chat = { model: "m-echo", messages: [{ role: common.Role.USER, parts }] };
    const answer = await gateway.createChat({ chat }, { headers });
    const whatWas = await payloadOf(answer.receipt?.requestId ?? "");
    const { request, answer: kept } = whatWas?.payload ?? {};
    expect(request?.contentType).toBe("application/protobuf; proto=weir.common.v1.ChatRequest");
    expect(fromBinary(common.ChatRequestSchema, request?.data ?? new Uint8Array(0))).toMatchObject(chat);
    expect(kept?.contentType).toBe("application/protobuf; proto=weir.common.v1.ChatResponse");
    expect(fromBinary(common.ChatResponseSchema, kept?.data ?? new Uint8Array(0))).toEqual(answer.chat);

    const events: Uint8Array[] = [];
    let requestId = "";
    for await (const { message } of gateway.streamChat({ chat }, { headers })) {
      if (message.case === "event") events.push(toBinary(common.ChatEventSchema, message.value));
      if (message.case === "receipt") ({ requestId } = message.value);
    }
    const streamed = (await payloadOf(requestId))?.payload?.answer;
    expect(streamed?.contentType).toBe("application/protobuf; proto=weir.common.v1.ChatEvent; encoding=delimited");
    const chunks = (async function* () {
      yield streamed?.data ?? new Uint8Array(0);
    })();
    const found: Uint8Array[] = [];
    for await (const event of sizeDelimitedDecodeStream(common.ChatEventSchema, chunks))
      found.push(toBinary(common.ChatEventSchema, event));
    expect(found).toEqual(events);
  });

  test("a large text that fits comes back; one that does not is omitted, with its size, and the request goes on", async () => {
    const large = JSON.stringify({ ...FACES[0]?.body("m-echo", "a ".repeat(FITS / 2)), max_tokens: 5 });
    const tooLarge = JSON.stringify({ ...FACES[0]?.body("m-echo", "a ".repeat(FITS)), max_tokens: 5 });
    const sent = async (body: string) => {
      const answer = await ask(whole.weir, "/v1/chat/completions", body);
      expect(answer.status).toBe(200);
      const text = await answer.text();
      return { text, entry: await payloadOf(answer.headers.get("x-weir-request-id") ?? "") };
    };
    const kept = await sent(large);
    expect(textOf(kept.entry?.payload?.request) === large).toBe(true);
    const { text, entry } = await sent(tooLarge);
    expect(entry?.payloadOmitted).toBe(true);
    expect(entry?.payload?.request).toMatchObject({ size: BigInt(tooLarge.length), omitted: true });
    expect(entry?.payload?.request?.data).toHaveLength(0);
    expect(textOf(entry?.payload?.answer)).toBe(text);
  });

  test("a workspace that keeps hashes keeps no payload", async () => {
    const { secret } = await operator.policy.createKey({ name: "discreet", workspace: "discreet" });
    const send = async () => {
      const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", CANARY) ?? {}, {
        key: secret,
      });
      await answer.text();
      return answer;
    };
    await expect.poll(async () => (await send()).status, { timeout: 5_000 }).toBe(200);
    const requestId = (await send()).headers.get("x-weir-request-id") ?? "";
    const entry = await payloadOf(requestId);
    expect(entry?.payload).toBeUndefined();
    expect(entry?.payloadOmitted).toBe(false);
    const rows = "select r.workspace from audit.audit_record r join audit.audit_payload using (index)";
    const { workspaces } = await operator.policy.listWorkspaces({});
    const full = workspaces.find(({ payloadChoice }) => payloadChoice === policy.PayloadChoice.FULL);
    const kept = (await query(rows)).rows as { workspace: string }[];
    expect(kept.length).toBeGreaterThan(5);
    expect(new Set(kept.map(({ workspace }) => workspace))).toEqual(new Set([full?.id]));
  });

  test("a workspace that keeps redacted texts keeps no address, whole or streamed; its client gets all", async () => {
    const { secret } = await operator.policy.createKey({ name: "careful", workspace: "careful" });
    const address = "quokka.keeper@example.com";
    const send = async (stream: boolean) => {
      const body = FACES[0]?.body("m-echo", `write to ${address} today`, stream) ?? {};
      const answer = await ask(whole.weir, "/v1/chat/completions", body, { key: secret });
      return { answer, text: await answer.text() };
    };
    await expect.poll(async () => (await send(false)).answer.status, { timeout: 10_000 }).toBe(200);
    for (const stream of [false, true]) {
      const { answer, text } = await send(stream);
      if (!stream) expect(text).toContain(address);
      const entry = await payloadOf(answer.headers.get("x-weir-request-id") ?? "");
      expect(textOf(entry?.payload?.request)).toContain("write to [EMAIL] today");
      expect(textOf(entry?.payload?.answer)).toContain("[EMAIL]");
      expect(textOf(entry?.payload?.answer)).not.toContain("keeper");
    }
  });

  test("the command shows it", async () => {
    const requestId = await said(CANARY);
    await payloadOf(requestId);
    let out = "";
    const env = { WEIR_RPC: whole.weir.rpcUrl, WEIR_ADMIN_TOKEN: whole.weir.adminToken, WEIR_MESH_TOKEN: MESH_TOKEN };
    const write = (text: string): void => void (out += text);
    expect(await run(["audit", "get", requestId, "--payload"], { env, out: write, err: write })).toBe(0);
    expect(out).toContain(CANARY);
    expect(out).toMatch(/request: application\/json, \d+ bytes\n\{.*\n\nanswer: application\/json/);
  });

  test("none of it is in clear in a file, in the database or in the log", async () => {
    await query("checkpoint");
    expect(filesWith(whole.weir.dataDir, CANARY)).toEqual([]);
    if (composition === "standalone") expect(filesWith(whole.weir.dataDir, TAG)).not.toEqual([]);
    const hex = (text: string): string => Buffer.from(text).toString("hex");
    const rowsWith = async (table: string, text: string): Promise<number | null> =>
      (await query(`select 1 from audit.${table} t where t::text like '%${text}%' or t::text like '%${hex(text)}%'`))
        .rowCount;
    for (const table of ["audit_record", "audit_payload"]) expect(await rowsWith(table, CANARY), table).toBe(0);
    expect(await rowsWith("audit_record", TAG)).toBeGreaterThan(0);
    expect(whole.weir.output()).not.toContain(CANARY);
    expect(statSync(join(whole.weir.dataDir, "audit-transport.key")).mode & 0o777).toBe(0o600);
  });
});
