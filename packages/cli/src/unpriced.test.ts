import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { run } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-unpriced-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function check(models: string, more = ""): Promise<string> {
  const file = join(folder, "weir.yaml");
  writeFileSync(
    file,
    `
providers:
  azure: { kind: azure-openai, base_url: "https://my.openai.azure.com", api_key: "0123456789" }
  local: { kind: vllm, base_url: "http://127.0.0.1:1/v1" }
  openai: { kind: openai, api_key: "0123456789" }
models:
  ${models}
${more}`,
  );
  let out = "";
  const said = (text: string): void => void (out += text);
  expect(await run(["config", "check", file], { env: {}, out: said, err: said })).toBe(0);
  return out;
}

test("config check names deployments that are not called as their models are", async () => {
  const out = await check("m: { targets: [{ provider: azure, model: my-deployment }] }");
  expect(out).toContain("ok: ");
  expect(out).toContain("models.m: the price of azure/my-deployment is not known");
  expect(out).toContain("name the deployment as its model is named");
});

test("what is called as its model is, has a price, a contract, or a maker's names is not named", async () => {
  expect(await check("m: { targets: [{ provider: azure, model: gpt-4o-mini }] }")).not.toContain("is not known");
  expect(
    await check(
      "m: { targets: [{ provider: azure, model: mine }], price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }",
    ),
  ).not.toContain("is not known");
  const contract = `contracts:
  c: { provider: local, models: ["ours-*"], price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }
`;
  expect(await check("m: { targets: [{ provider: local, model: ours-1 }] }", contract)).not.toContain("is not known");
  expect(await check("m: { targets: [{ provider: local, model: theirs }] }", contract)).toContain("set models.m.price");
  expect(await check("m: { targets: [{ provider: openai, model: brand-new }] }")).not.toContain("is not known");
});
