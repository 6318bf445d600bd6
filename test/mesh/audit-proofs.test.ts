/** An auditor checks the log with what `weir audit` writes, and trusts nobody who runs Weir. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "@weir/cli";
import { type BackingPostgres, COMPOSITIONS, startPostgres } from "@weir/testkit";
import { parquetReadObjects } from "hyparquet";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const REQUESTS = 12;

describe.each(COMPOSITIONS)("%s", (composition) => {
  let postgres: BackingPostgres | undefined;
  let whole: Whole;
  let database: pg.ClientConfig;
  let folder: string;
  const ids: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-proofs-"));
    const heads = composition === "mesh" ? '["file:tree-heads.jsonl","nats"]' : '["file:tree-heads.jsonl"]';
    const env: Record<string, string> = { WEIR_AUDIT_HEAD_INTERVAL: "200ms", WEIR_AUDIT_HEADS_TO: heads };
    if (composition === "mesh") {
      postgres = await startPostgres();
      env["WEIR_DATABASE_URL"] = postgres.url;
    }
    whole = await bootWhole(composition, { env });
    database =
      postgres === undefined
        ? { host: join(whole.weir.dataDir, "run"), port: 5432, user: "postgres", database: "postgres" }
        : { connectionString: postgres.url };
    for (let at = 0; at < REQUESTS; at++) {
      const face = FACES[at % FACES.length] as (typeof FACES)[number];
      const answer = await ask(whole.weir, face.path, face.body("m-openai", `say ${at}`, at % 2 === 0));
      await answer.text();
      ids.push(answer.headers.get("x-weir-request-id") ?? "");
    }
  });
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  async function weir(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
    let [out, err] = ["", ""];
    const code = await run(argv, {
      env: { WEIR_RPC: whole.weir.rpcUrl, WEIR_ADMIN_TOKEN: whole.weir.adminToken },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    });
    return { code, out, err };
  }

  /** Offline: no address, no token. */
  async function verify(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
    let [out, err] = ["", ""];
    const code = await run(["audit", "verify", ...argv], {
      env: { WEIR_RPC: "http://127.0.0.1:1" },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    });
    return { code, out, err };
  }

  async function asOwner(sql: string): Promise<void> {
    const client = new pg.Client({ ...database, options: "-c search_path=audit" });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  const keptHeads = (): string => join(whole.weir.dataDir, "tree-heads.jsonl");
  const path = (name: string): string => join(folder, name);
  let key = "";

  test("an export verifies against the heads that were taken elsewhere", async () => {
    const operator = operatorOf(whole.weir);
    await expect.poll(async () => (await outcomesById(operator)).size, { timeout: 20_000 }).toBe(REQUESTS);
    // All records are under a head once the last one is as large as the log.
    await expect
      .poll(async () => (await weir("audit", "prove", ids.at(-1) ?? "", path("proof.json"))).code, { timeout: 20_000 })
      .toBe(0);
    const { out, err } = await weir("audit", "keys", "list", "--json");
    expect(err).toBe("");
    key = (JSON.parse(out) as { keys: { publicKey: string }[] }).keys[0]?.publicKey ?? "";
    expect(await weir("audit", "export", path("log.jsonl"))).toMatchObject({ code: 0, err: "" });
    const heads = path("heads.jsonl");
    writeFileSync(heads, readFileSync(keptHeads()));
    const verdict = await verify(path("log.jsonl"), "--key", key, "--heads", heads);
    expect(verdict).toMatchObject({ code: 0, err: "" });
    expect(verdict.out).toContain("nothing missing, nothing changed");
    expect(readFileSync(path("log.jsonl"), "utf8")).toContain(ids[0]);
  });

  test("a proof of one request verifies alone, and not for a record that was changed", async () => {
    expect(await verify(path("proof.json"), "--key", key)).toMatchObject({ code: 0 });
    const text = readFileSync(path("proof.json"), "utf8");
    const header = /"header":"([^"]+)"/.exec(text)?.[1] ?? "";
    const bytes = Buffer.from(header, "base64");
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(path("forged.json"), text.replace(header, bytes.toString("base64")));
    const forged = await verify(path("forged.json"), "--key", key);
    expect(forged.code).toBe(1);
    expect(forged.err).toContain("is not in the log");
    const stranger = Buffer.alloc(32, 7).toString("base64");
    expect(await verify(path("proof.json"), "--key", stranger)).toMatchObject({ code: 1 });
  });

  test("the table for analysis has every record", async () => {
    expect(await weir("audit", "export", path("log.parquet"), "--format", "parquet")).toMatchObject({
      code: 0,
      err: "",
    });
    const file = readFileSync(path("log.parquet"));
    const rows = await parquetReadObjects({ file: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) });
    const outcomes = rows.filter(({ kind }) => kind === 3);
    expect(new Set(outcomes.map(({ request_id }) => request_id))).toEqual(new Set(ids));
    expect(outcomes).toHaveLength(ids.length);
    expect(
      outcomes.every(({ provider, cost_nanos }) => provider === "p-openai" || typeof cost_nanos === "bigint"),
    ).toBe(true);
  });

  test("what an owner of the tables changes is found and named", async () => {
    const disarm = ["audit_leaf", "audit_record"]
      .flatMap((table) => ["deny_row", "deny_statement"].map((name) => `alter table ${table} disable trigger ${name};`))
      .join("");
    const heads = path("heads.jsonl");
    const id = ids[3] ?? "";
    const changes: [sql: string, found: RegExp][] = [
      [`update audit_record set cost_nanos = cost_nanos + 1 where request_id = '${id}'`, /column costNanos/],
      [
        `update audit_record set header = set_byte(header, 2, 255 - get_byte(header, 2)) where request_id = '${id}'`,
        /changed: leaf \d+/,
      ],
      [
        `delete from audit_leaf where index = (select index from audit_record where request_id = '${id}');
         delete from audit_record where request_id = '${id}'`,
        /missing: \S+ #[\d to]+ was numbered by its producer/,
      ],
    ];
    for (const [sql, found] of changes) {
      await asOwner(`${disarm} ${sql}`);
      expect(await weir("audit", "export", path("after.jsonl"))).toMatchObject({ code: 0, err: "" });
      const verdict = await verify(path("after.jsonl"), "--key", key, "--heads", heads);
      expect(verdict.code).toBe(1);
      expect(verdict.out).toMatch(found);
    }
  });
});
