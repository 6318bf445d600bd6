/** The record proves where a request went: provider, region and the origin it was sent to. Terms of providers are read back as they were stated. */
import { COMPOSITIONS, type Simulator, startSimulator, type BootedWeir, bootWeir } from "@weir/testkit";
import { run } from "@weir/cli";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type Face, FACES } from "../support/ask.ts";
import { outcomesById } from "../support/logged.ts";
import { operatorOf } from "../support/operator.ts";

const chat = FACES[0] as Face;
const MESH_TOKEN = "weir-test-mesh-token-0123456789";

describe.each(COMPOSITIONS)("%s", (composition) => {
  let eu: Simulator;
  let us: Simulator;
  let weir: BootedWeir;
  beforeAll(async () => {
    [eu, us] = await Promise.all([startSimulator(), startSimulator()]);
    weir = await bootWeir(composition, {
      env: { WEIR_MESH_TOKEN: MESH_TOKEN },
      config: `
providers:
  frankfurt:
    kind: openai
    base_url: "${eu.origin}/v1"
    api_key: sk-eu-0123456789
    region: eu
    terms: { dpa: signed 2026-03-01, retention: 30 days, training: never }
  virginia: { kind: openai, base_url: "${us.origin}/v1", api_key: sk-us-0123456789, region: us }
models:
  m:
    targets: [{ provider: virginia, model: gpt-4o-mini }, { provider: frankfurt, model: gpt-4o-mini }]
workspaces:
  default: { rules: { allowed_regions: [eu] } }
`,
    });
  });
  afterAll(async () => {
    await weir?.[Symbol.asyncDispose]();
    await Promise.all([eu?.[Symbol.asyncDispose](), us?.[Symbol.asyncDispose]()]);
  });

  test.each([false, true])(
    "the record names provider, region and origin of what served, stream: %s",
    async (stream) => {
      const answer = await ask(weir, chat.path, chat.body("m", "hello", stream));
      await answer.text();
      expect([answer.status, answer.headers.get("x-weir-region")]).toEqual([200, "eu"]);
      const id = answer.headers.get("x-weir-request-id") ?? "";
      const look = async () =>
        (await outcomesById(operatorOf(weir)))
          .get(id)
          ?.map(({ result }) => [
            result?.served?.provider,
            result?.served?.region,
            result?.attempts.map(({ provider, region, origin }) => [provider, region, origin]),
          ]);
      await expect.poll(look, { timeout: 20_000 }).toEqual([["frankfurt", "eu", [["frankfurt", "eu", eu.origin]]]]);
      expect(us.ledger).toHaveLength(0);
    },
  );

  test("weir providers tells region, origin and terms, and what nobody stated", async () => {
    let out = "";
    const code = await run(["providers"], {
      env: { WEIR_RPC: weir.rpcUrl, WEIR_ADMIN_TOKEN: weir.adminToken, WEIR_MESH_TOKEN: MESH_TOKEN },
      out: (text) => void (out += text),
      err: (text) => void (out += text),
    });
    expect(code).toBe(0);
    const line = (name: string) => out.split("\n").find((one) => one.startsWith(name)) ?? "";
    expect(line("frankfurt")).toMatch(/ eu +http:\/\/127\.0\.0\.1:\d+ +signed 2026-03-01 +30 days +never/);
    expect(line("frankfurt")).toContain(eu.origin);
    expect(line("virginia")).toMatch(/ us .*not stated +not stated +not stated/);
  });
});
