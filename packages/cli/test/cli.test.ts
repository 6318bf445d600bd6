import { type BootedWeir, bootWeir, COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../src/run.ts";

describe.each(COMPOSITIONS)("against a %s", (composition) => {
  let booted: BootedWeir;
  beforeAll(async () => {
    booted = await bootWeir(composition, { env: { WEIR_MESH_TOKEN: "weir-test-mesh-token-0123456789" } });
  }, 120_000);
  afterAll(async () => {
    await booted[Symbol.asyncDispose]();
  }, 60_000);

  async function weir(...words: (string | Readonly<Record<string, string>>)[]): Promise<string> {
    let [out, err] = ["", ""];
    const argv = words.filter((word) => typeof word === "string");
    const code = await run(argv, {
      env: {
        ...words.filter((word) => typeof word !== "string")[0],
        WEIR_RPC: booted.rpcUrl,
        WEIR_ADMIN_TOKEN: booted.adminToken,
        WEIR_MESH_TOKEN: "weir-test-mesh-token-0123456789",
      },
      out: (text) => void (out += text),
      err: (text) => void (err += text),
    });
    if (code !== 0) throw new Error(`exit ${code}: ${err}`);
    return out;
  }

  const ask = (key: string): Promise<Response> =>
    fetch(`${booted.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "echo", max_tokens: 5, messages: [{ role: "user", content: "Hello" }] }),
    });

  test("a key is made, used, seen in the log, and revoked", async () => {
    await weir("workspaces", "create", "team-a", "--payloads", "none");
    expect(await weir("workspaces", "list")).toMatch(/team-a +none +all/);
    await weir("projects", "create", "bot", "--workspace", "team-a");
    expect(await weir("projects", "list", "--workspace", "team-a")).toContain("bot");
    const made = JSON.parse(
      await weir(
        "keys",
        "create",
        "--name",
        "ci",
        "--workspace",
        "team-a",
        "--project",
        "bot",
        "--expires",
        "1h",
        "--json",
      ),
    ) as { secret: string; key: { id: string } };
    expect(made.secret).toMatch(/^wk_/);
    await expect.poll(async () => (await ask(made.secret)).status, { timeout: 10_000 }).toBe(200);
    const answer = await ask(made.secret);
    const requestId = answer.headers.get("x-request-id") ?? "";
    await expect
      .poll(() => weir("audit", "get", requestId), { timeout: 20_000 })
      .toMatch(/outcome .*echo\/echo +succeeded 200/);
    expect(await weir("audit", "list", "--key-id", made.key.id, "--outcome", "succeeded", "--from", "1h")).toContain(
      requestId,
    );
    expect(await weir("audit", "summary", "--from", "1h")).toMatch(/echo +echo +\d+ +0/);
    expect(await weir("audit", "gaps")).toBe("(none)\n");
    await expect
      .poll(() => weir("evaluations", "list", "--request", requestId), { timeout: 20_000 })
      .toContain("answer-health@1");

    expect(await weir("keys", "list", "--workspace", "team-a")).toMatch(/ci +wk_/);
    await weir("keys", "revoke", made.key.id);
    await expect.poll(async () => (await ask(made.secret)).status, { timeout: 10_000 }).toBe(401);
    expect(await weir("keys", "list", "--workspace", "team-a", "--revoked")).toContain("revoked");
  }, 60_000);

  test("a key is shown, changed, rotated and minted from, and an issuer is named", async () => {
    const made = JSON.parse(await weir("keys", "create", "--name", "app", "--scope", "inference", "--json")) as {
      secret: string;
      key: { id: string };
    };
    const { id } = made.key;
    await expect.poll(async () => (await ask(made.secret)).status, { timeout: 10_000 }).toBe(200);
    await weir("keys", "update", id, "--name", "renamed", "--allow-model", "ech*", "--expires", "2h");
    const shown = await weir("keys", "show", id);
    expect(shown).toMatch(/name +renamed/);
    expect(shown).toMatch(/allowed-models +ech\*/);
    expect(await weir("keys", "update", id, "--no-rules", "--expires", "never")).toMatch(/renamed .* –\n$/);
    await expect(weir("keys", "update", id, "--no-rules", "--allow-model", "x")).rejects.toThrow(/exit 2/);
    const rotated = await weir("keys", "rotate", id, "--overlap", "1h");
    expect(rotated).toMatch(/The old text works until .*\n.*\nwk_/);
    const secret = rotated.trim().split("\n").at(-1) ?? "";
    await expect.poll(async () => (await ask(secret)).status, { timeout: 10_000 }).toBe(200);
    expect((await ask(made.secret)).status).toBe(200);
    expect(await weir("keys", "show", id)).toMatch(new RegExp(`works until +${made.secret.slice(0, 8)}`));
    const minted = await weir(
      { WEIR_KEY: secret },
      "keys",
      "mint",
      "--ttl",
      "5m",
      "--requests",
      "1",
      "--end-user",
      "ann",
    );
    const child = minted.trim().split("\n").at(-1) ?? "";
    await expect.poll(async () => (await ask(child)).status, { timeout: 10_000 }).toBe(200);
    expect((await ask(child)).status).toBe(429);
    expect(await weir("keys", "list", "--short-lived")).toContain(child.slice(0, 8));
    expect(await weir("keys", "list")).not.toContain(child.slice(0, 8));
    await expect(weir("keys", "mint")).rejects.toThrow(/exit 2: .*WEIR_KEY/);
    expect(await weir("keys", "revoke", id, "--now")).toContain("revoked");
    await expect.poll(async () => (await ask(child)).status, { timeout: 10_000 }).toBe(401);
    const put = await weir(
      "issuers",
      "put",
      "ci",
      "--url",
      "https://ci.example",
      "--audience",
      "weir",
      "--claim",
      "ref=main",
    );
    expect(put).toMatch(/ci +https:\/\/ci\.example +weir +ref=main +– +60m +inference/);
    const { issuers } = JSON.parse(await weir("issuers", "list", "--json")) as { issuers: { id: string }[] };
    expect(await weir("issuers", "delete", issuers[0]?.id ?? "")).toBe("deleted\n");
    expect(await weir("issuers", "list")).toBe("(none)\n");
  }, 60_000);

  test("budgets and limits are put and read back", async () => {
    const put = await weir("budgets", "put", "--workspace", "default", "--period", "month", "--usd", "12.5");
    expect(put).toMatch(/month +usd +\$12\.5 +\$0 +\$0 +\$12\.5 .*hard/);
    await weir("budgets", "put", "--workspace", "default", "--period", "day", "--tokens", "1000", "--soft");
    expect(await weir("budgets", "list", "--workspace", "default")).toMatch(/day +tokens +1000 .*soft/);
    await weir(
      "limits",
      "put",
      "--workspace",
      "default",
      "--per",
      "key",
      "--requests",
      "600",
      "--window",
      "1m",
      "--fail-closed",
    );
    expect(await weir("limits", "list", "--workspace", "default")).toMatch(/key +600 +requests +60s +60 +refuses/);
  });

  test("routes are shown with their reasons", async () => {
    expect(await weir("models")).toContain("echo");
    expect(await weir("providers")).toMatch(/echo +echo/);
    expect(await weir("route", "explain", "echo")).toMatch(/1\. +echo +echo/);
  });

  test("a refusal says what to do", async () => {
    await expect(weir("keys", "create", "--name", "x", "--workspace", "nowhere")).rejects.toThrow(
      /exit 1: weir: .*nowhere/,
    );
    let err = "";
    const code = await run(["keys", "list"], {
      env: { WEIR_RPC: booted.rpcUrl, WEIR_DATA_DIR: "/nonexistent" },
      out: () => undefined,
      err: (text) => void (err += text),
    });
    expect(code).toBe(1);
    expect(err).toMatch(/missing_key|invalid_key/);
  });
});
