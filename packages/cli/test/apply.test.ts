import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BootedWeir, bootWeir, COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../src/run.ts";

const MESH_TOKEN = "weir-test-mesh-token-0123456789";
/** A name with a price: what has none takes from no budget. */
const CONFIG = `
providers:
  echo: { kind: echo, region: eu }
models:
  priced:
    targets: [{ provider: echo, model: echo }]
    price: { input_usd_per_mtok: 1, output_usd_per_mtok: 1 }
`;
const FILE = join(mkdtempSync(join(tmpdir(), "weir-apply-")), "team.yaml");
const TEXT = `
organizations:
  acme: { rules: { denied_models: [dear*] }, limits: [{ per: workspace, requests: 1000, window: 60s }] }
workspaces:
  search:
    organization: acme
    payloads: none
    time_zone: Europe/Berlin
    rules: { denied_regions: [cn*] }
    budgets: [{ period: month, limit_usd: 5 }]
    projects:
      bot: { rules: { fixed_tags: { team: bots } } }
    end_users:
      ann@example.com: { budgets: [{ period: day, limit_requests: 3, hard: false }] }
    tags:
      team=bots: { rules: { deny_streaming: true }, budgets: [{ period: day, limit_requests: 1 }] }
    issuers:
      ci: { project: bot, url: "https://ci.example.com", audiences: [weir], required_claims: { repository: acme/search } }
`;

describe.each(COMPOSITIONS)("against a %s", (composition) => {
  let booted: BootedWeir;
  beforeAll(async () => {
    booted = await bootWeir(composition, { config: CONFIG, env: { WEIR_MESH_TOKEN: MESH_TOKEN } });
  }, 120_000);
  afterAll(async () => {
    await booted[Symbol.asyncDispose]();
  }, 60_000);

  async function weir(...argv: string[]): Promise<string> {
    let [out, err] = ["", ""];
    const code = await run(argv, {
      env: { WEIR_RPC: booted.rpcUrl, WEIR_ADMIN_TOKEN: booted.adminToken, WEIR_MESH_TOKEN: MESH_TOKEN },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    });
    if (code !== 0) throw new Error(`exit ${code}: ${err}`);
    return out;
  }
  const apply = (text: string, ...flags: string[]): Promise<string> => {
    writeFileSync(FILE, text);
    return weir("apply", "-f", FILE, ...flags);
  };
  const ask = (key: string, body: object = {}): Promise<Response> =>
    fetch(`${booted.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "priced", max_tokens: 5, messages: [{ role: "user", content: "Hello" }], ...body }),
    });

  test("a file is planned, made once, and what it says holds", async () => {
    const planned = await apply(TEXT, "--dry-run");
    expect(planned).toContain("+ create workspace/search");
    expect(planned).toMatch(/12 would be created, 0 would be updated, 0 would be deleted, 0 unchanged/);
    expect(await weir("workspaces", "list")).not.toContain("search");
    expect(await apply(TEXT)).toMatch(/12 created, 0 updated, 0 deleted, 0 unchanged/);
    expect(await apply(TEXT)).toMatch(/^0 created, 0 updated, 0 deleted, \d+ unchanged\n$/);
    expect(await apply(TEXT, "--prune")).toMatch(/^0 created, 0 updated, 0 deleted, \d+ unchanged\n$/);

    const made = JSON.parse(
      await weir("keys", "create", "--name", "k", "--workspace", "search", "--project", "bot", "--json"),
    ) as { secret: string; key: { id: string } };
    await expect.poll(async () => (await ask(made.secret, { stream: true })).status, { timeout: 10_000 }).toBe(403);
    const first = await ask(made.secret);
    expect([first.status, await first.text()]).toEqual([200, expect.any(String)]);
    expect(await (await ask(made.secret)).text()).toContain("tag/team=bots day requests");

    const why = await weir("explain", "--key", made.key.id, "--model", "priced", "--stream", "--input-tokens", "10");
    expect(why).toContain("refused by rules tag/team=bots deny_streaming");
    const over = await weir("explain", "--key", made.key.id, "--model", "priced", "--input-tokens", "10");
    expect(over).toMatch(/refused by budget tag\/team=bots day requests/);
    expect(over).toMatch(/budget workspace\/search month usd +\$0\.\d+ +\$4\.9\d+ +\$5 /);
    expect(over).toMatch(/limit organization\/acme 1000 requests per workspace in 60 s +1 +\d+ +1000/);
    expect(over).toMatch(/echo +echo +eu +yes/);
  }, 60_000);

  test("what changed is changed, what went is left until it is asked for", async () => {
    const changed = TEXT.replace("limit_usd: 5", "limit_usd: 7").replace("deny_streaming: true", "deny_tools: true");
    const told = await apply(changed);
    expect(told).toContain("~ update budget month usd of workspace/search (limit: $5 → $7)");
    expect(told).toContain("deny_streaming: true → none; deny_tools: none → true");
    expect(told).toMatch(/0 created, 2 updated, 0 deleted/);
    const less = changed.replace(/ {4}end_users:[\s\S]*$/, "").replace("limits: [", "budgets: [], limits: [");
    expect(await apply(less)).toMatch(/^0 created, 0 updated, 0 deleted/);
    const pruned = await apply(less, "--prune");
    expect(pruned).toContain("- delete issuer search/bot/ci");
    expect(pruned).toContain("- delete budget day requests of search: tag/team=bots");
    expect(pruned).toMatch(/0 created, 0 updated, 4 deleted/);
    expect(await weir("budgets", "list", "--workspace", "search")).not.toContain("tag/");
    expect(await apply(less, "--prune")).toMatch(/^0 created, 0 updated, 0 deleted/);
  }, 60_000);

  test("a file with a problem changes nothing", async () => {
    const bad = TEXT.replace("limit_usd: 5", "limit_usd: 9").replace(
      "denied_regions: [cn*]",
      'denied_regions: ["*cn"]',
    );
    await expect(apply(bad)).rejects.toThrow(/exit 1: .*team\.yaml:9 workspaces\.search\.rules\.denied_regions/s);
    expect(await weir("budgets", "list", "--workspace", "search")).toContain("$7");
  });
});
