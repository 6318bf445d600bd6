/** What evaluation cannot work with, from the request to the operator's command line: it hinders no request, waits, and is worked in when it can be. */
import { run } from "@weir/cli";
import { openPool } from "@weir/storage";
import { type BackingPostgres, COMPOSITIONS, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, FACES } from "../support/ask.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const SAID = "quokka-51c0de-canary";

describe.each(COMPOSITIONS)("%s", (composition) => {
  let postgres: BackingPostgres;
  let whole: Whole;
  beforeAll(async () => {
    postgres = await startPostgres();
    whole = await bootWhole(composition, { env: { WEIR_DATABASE_URL: postgres.url } });
  });
  afterAll(async () => {
    await whole?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  async function weir(...argv: string[]): Promise<{ code: number; out: string }> {
    let out = "";
    const write = (text: string): void => void (out += text);
    const env = { WEIR_RPC: whole.weir.rpcUrl, WEIR_ADMIN_TOKEN: whole.weir.adminToken };
    return { code: await run(argv, { env, out: write, err: write }), out };
  }

  const say = async (): Promise<string> => {
    const answer = await ask(whole.weir, "/v1/chat/completions", FACES[0]?.body("m-echo", SAID) ?? {});
    expect(answer.status).toBe(200);
    await answer.text();
    return answer.headers.get("x-weir-request-id") ?? "";
  };
  const isEvaluated = async (id: string): Promise<boolean> =>
    (await weir("evaluations", "list", "--request", id)).out.includes(id);

  test("a record that the database refuses becomes a dead letter, and is worked in by a retry", async () => {
    const first = await say();
    await expect.poll(() => isEvaluated(first), { timeout: 30_000 }).toBe(true);
    expect((await weir("dlq", "list")).out).toContain("(none)");
    const pool = openPool({ connectionString: postgres.url }, { applicationName: "test" });
    try {
      await pool.query("revoke insert on evaluation.evaluation_result from weir_evaluation");
      const ids = [await say(), await say()];
      await expect
        .poll(async () => (await weir("dlq", "list")).out.match(/the database refuses its results/g)?.length ?? 0, {
          timeout: 30_000,
        })
        .toBe(2);
      const list = (await weir("dlq", "list")).out;
      const letters = [...list.matchAll(/\b[0-9a-f]{32}\b/g)].map(([id]) => id);
      const shown = await Promise.all(letters.map((id) => weir("dlq", "show", id)));
      for (const id of ids) expect(shown.some(({ out }) => out.includes(id))).toBe(true);
      expect(shown.map(({ out }) => out).join("") + list).not.toContain(SAID);
      expect(await weir("dlq", "retry", "--all")).toMatchObject({ code: 1 });

      await pool.query("grant insert on evaluation.evaluation_result to weir_evaluation");
      expect(await weir("dlq", "retry", letters[0] ?? "")).toMatchObject({ code: 0 });
      expect(await weir("dlq", "retry", "--all")).toMatchObject({ code: 0 });
      expect((await weir("dlq", "list")).out).toContain("(none)");
      for (const id of ids) expect(await isEvaluated(id)).toBe(true);
      expect((await weir("dlq", "drop", letters[0] ?? "")).out).toContain("0 dropped");
    } finally {
      await pool.end();
    }
    // Lines of the background thread come by way of the main one.
    await expect.poll(() => whole.weir.output(), { timeout: 20_000 }).toContain("a record became a dead letter");
    expect(whole.weir.output()).not.toContain(SAID);
  });
});
