/** An auditor checks the log with what `weir audit` writes, and trusts nobody who runs Weir. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "@weir/cli";
import { leafHash } from "@weir/proofs";
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
  let workspaceId = "";

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
    // Each record by its producer, which said its key in its epoch-open.
    expect(verdict.out).toMatch(/\.0 signs with [A-Za-z0-9+/]{43}=/);
    expect(verdict.out).not.toContain("sign nothing");
    const producer = /signs with (\S+)/.exec(verdict.out)?.[1] ?? "";
    const pinned = (given: string): Promise<{ code: number; out: string }> =>
      verify(path("log.jsonl"), "--key", key, "--heads", heads, "--producer-key", given);
    expect(await pinned(producer)).toMatchObject({ code: 0 });
    expect((await pinned(Buffer.alloc(32, 7).toString("base64"))).out).toContain("its key is none of those");
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

  test("records are found by what is known of them, on the screen and in both kinds of file; some of them are no log", async () => {
    const list = async (...flags: string[]): Promise<number> => {
      const { out, err } = await weir("audit", "list", "--json", "--kind", "outcome", "--limit", "1000", ...flags);
      expect(err).toBe("");
      return (JSON.parse(out) as { entries?: unknown[] }).entries?.length ?? 0;
    };
    const { out } = await weir("audit", "list", "--json", "--kind", "outcome", "--limit", "1");
    const provider = /"provider": "([^"]+)"/.exec(out)?.[1] ?? "";
    workspaceId = /"workspaceId": "([^"]+)"/.exec(out)?.[1] ?? "";
    expect(await list("--workspace-id", workspaceId)).toBe(REQUESTS);
    expect(await list("--status", "200")).toBe(REQUESTS);
    expect(await list("--status", "503")).toBe(0);
    expect(await list("--model", "m-openai", "--outcome", "succeeded")).toBe(REQUESTS);
    expect(await list("--provider", provider)).toBe(REQUESTS);
    expect(await list("--provider", "nobody")).toBe(0);
    expect(await list("--min-usd", "1")).toBe(0);
    expect(await list("--max-usd", "1")).toBe(REQUESTS);
    expect(await list("--to", "1h")).toBe(0);
    expect((await weir("audit", "list", "--min-usd", "much")).err).toContain("an amount in dollars");
    const only = ["--kind", "outcome", "--status", "200"];
    expect(await weir("audit", "export", path("some.jsonl"), ...only)).toMatchObject({ code: 0, err: "" });
    expect(await weir("audit", "export", path("some.parquet"), "--format", "parquet", ...only)).toMatchObject({
      code: 0,
    });
    const lines = readFileSync(path("some.jsonl"), "utf8").split("\n");
    expect(lines.filter((line) => line.startsWith('{"leaf"'))).toHaveLength(REQUESTS);
    const file = readFileSync(path("some.parquet"));
    const rows = await parquetReadObjects({ file: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) });
    expect(rows.map(({ kind }) => kind)).toEqual(Array.from({ length: REQUESTS }, () => 3));
    const verdict = await verify(path("some.jsonl"), "--key", key);
    expect(verdict).toMatchObject({ code: 1 });
    expect(verdict.err).toContain("only some of the records");
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

  test("retention and holds by the command line; whoever turns back the tables' clock to remove more is found", async () => {
    // One was deleted above.
    const left = REQUESTS - 1;
    const said = async (...argv: string[]): Promise<string> => {
      const { code, out, err } = await weir("audit", ...argv);
      expect(err).toBe("");
      expect(code).toBe(0);
      return out;
    };
    const workspace = ["--workspace", "default"];
    const set = ["retention", "set", ...workspace, "--records", "400d", "--payloads", "30d"];
    expect(await said(...set)).toMatch(/records 400d, payloads 30d .*records for ever/);
    expect(await said("retention", "list")).toContain(workspaceId);
    expect(await said("retention", "list")).toContain("records 400d, payloads 30d");
    expect(await said("retention", "run")).toBe("0 removed\n");
    const placed = await said("hold", "place", ...workspace, "--reason", "case 7", "--json");
    const { id } = (JSON.parse(placed) as { hold: { hold: { id: string } } }).hold.hold;
    expect(await said("hold", "list")).toContain("case 7");

    const unlock = ["audit_record", "retention_policy"]
      .flatMap((table) => ["deny_row", "deny_statement"].map((name) => `alter table ${table} disable trigger ${name};`))
      .join("");
    const lock = unlock.replaceAll("disable", "enable always");
    await asOwner(
      `${unlock} update audit_record set stored_at = stored_at - interval '500 days', at_ms = at_ms - 43200000000;
       update retention_policy set since_ms = since_ms - 43200000000; ${lock}`,
    );
    expect(await said("retention", "run", "--dry-run")).toBe("0 would be removed\n");
    await said("hold", "release", id, "--reason", "settled");
    expect(await said("hold", "list")).toBe("(none)\n");
    expect(await said("hold", "list", "--all")).toContain("case 7");
    expect(await said("retention", "run", "--dry-run")).toContain(`${left} would be removed`);
    expect(await said("retention", "run")).toContain(`${left} removed`);
    expect(await said("list", "--kind", "retention")).toContain(`${left} records removed`);

    await said("export", path("retained.jsonl"));
    const { code, out } = await verify(path("retained.jsonl"), "--key", key, "--heads", path("heads.jsonl"));
    expect(out).toContain(`${left} records and 0 payloads more were removed by retention: records `);
    expect(out).not.toContain("no retention record says so");
    expect(code).toBe(1);
    expect(out).toMatch(/removed against the rules: .*no policy let these go/);
  });

  test("what is put into the log by who owns its tables has no signature of its producer", async () => {
    const client = new pg.Client({ ...database, options: "-c search_path=audit" });
    await client.connect();
    try {
      // Whole in every other way: its hash, its number, and the account of its producer. Heads will cover it.
      const { rows } = await client.query<{ producer: string; id: number; next: string }>(
        "select p.name as producer, p.id, max(l.number) + 1 as next from audit_leaf l join producer p on p.id = l.producer where l.kind = 5 or l.kind = 1 group by 1, 2",
      );
      const { producer = "", id = 0, next = "0" } = rows[0] ?? {};
      const header = Buffer.alloc(0);
      const payloadDigest = createHash("sha256").digest();
      const leaf = {
        producer,
        number: Number(next),
        kind: 5,
        intentNumber: 0,
        intentProducer: "",
        payloadOmitted: false,
      };
      const hash = leafHash((bytes) => createHash("sha256").update(bytes).digest(), { ...leaf, header, payloadDigest });
      await client.query("begin");
      await client.query("select pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0))");
      await client.query(
        "insert into audit_leaf (index, number, intent_number, producer, kind, hash) select max(index) + 1, $1, 0, $2, 5, $3 from audit_leaf",
        [next, id, Buffer.from(hash)],
      );
      await client.query(
        `insert into audit_record (index, at_ms, cost_nanos, input_tokens, output_tokens, status, outcome, kind, payload_omitted, repeated,
           workspace, key_id, model, provider, header) select max(index), 0, 0, 0, 0, 0, 0, 5, false, false, '', '', '', '', $1 from audit_leaf`,
        [header],
      );
      await client.query(
        "update producer_progress set accounted = accounted + int8multirange(int8range($1::bigint, $1::bigint + 1)) where producer = $2",
        [next, id],
      );
      await client.query("commit");
      expect(await weir("audit", "export", path("forged.jsonl"))).toMatchObject({ code: 0 });
      const { out } = await verify(path("forged.jsonl"), "--key", key);
      const [, first = "", last = first] =
        new RegExp(`not signed: ${producer} #(\\d+)(?: to (\\d+))? `).exec(out) ?? [];
      const otherwise = out.includes(`is not what ${producer} signed as #${next}`);
      expect(otherwise || (Number(first) <= Number(next) && Number(next) <= Number(last)), out).toBe(true);
    } finally {
      await client.end();
    }
  });
});
