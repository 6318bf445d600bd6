import fc from "fast-check";
import { expect, test } from "vitest";
import { printable, table } from "./output.ts";
import { run } from "./run.ts";

async function weir(
  argv: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await run(argv, {
    env,
    out: (text) => void (out += text),
    err: (text) => void (err += text),
  });
  return { code, out, err };
}

test("help is help, and a typing error is a typing error", async () => {
  expect(await weir([])).toMatchObject({ code: 0, err: "" });
  expect((await weir(["keys", "--help"])).out).toContain("keys create");
  expect((await weir(["keys", "create", "--help"])).out).toContain("weir keys create --name NAME");
  expect(await weir(["keyz", "list"])).toMatchObject({ code: 2, out: "" });
  expect((await weir(["keys", "create", "--nmae", "x"])).err).toContain("--nmae");
  expect(await weir(["keys", "revoke"])).toMatchObject({
    code: 2,
    err: "weir: usage: weir keys revoke <key id> [--now]\n",
  });
  expect((await weir(["keys", "create"])).err).toContain("--name is missing");
});

test.each([
  [
    ["budgets", "put", "--workspace", "a", "--key", "b", "--period", "day", "--usd", "1"],
    "exactly one of --organization",
  ],
  [["budgets", "put", "--workspace", "a", "--period", "day", "--usd", "1", "--tokens", "1"], "exactly one of --usd"],
  [["budgets", "put", "--workspace", "a", "--period", "year", "--usd", "1"], "--period is one of day"],
  [["budgets", "put", "--workspace", "a", "--period", "day", "--usd", "-1"], "usd"],
  [["limits", "put", "--workspace", "a", "--per", "key", "--requests", "0", "--window", "1m"], "from 1 on"],
  [["limits", "put", "--workspace", "a", "--per", "key", "--requests", "5", "--window", "60"], "not a duration"],
  [["limits", "put", "--workspace", "a", "--per", "key", "--requests", "5"], "--window is missing"],
  [
    ["limits", "put", "--workspace", "a", "--per", "key", "--requests", "5", "--concurrency", "5"],
    "exactly one of --requests",
  ],
  [
    ["limits", "put", "--workspace", "a", "--per", "model", "--tokens", "5", "--window", "1m", "--weight", "a=1"],
    "go with --queue",
  ],
  ["limits put --workspace a --per model --tokens 5 --window 1m --queue 1s --weight a".split(" "), "workspace=number"],
  [["keys", "create", "--name", "x", "--scope", "all"], "--scope is one of inference"],
  [["audit", "list", "--from", "yesterday"], "how long ago"],
  [["dlq", "retry"], "give ids, or --all"],
  [["dlq", "drop", "0".repeat(32), "--all"], "give ids, or --all"],
  [["dlq", "show", "../etc"], "is not the id of a dead letter"],
])("%j is refused before anybody is asked", async (argv, message) => {
  const { code, err } = await weir(argv, { WEIR_RPC: "http://127.0.0.1:9" });
  expect(code).toBe(2);
  expect(err).toContain(message);
});

test("who cannot be reached is named", async () => {
  const { code, err } = await weir(["keys", "list"], { WEIR_RPC: "http://127.0.0.1:9" });
  expect(code).toBe(1);
  expect(err).toContain("cannot reach Weir at http://127.0.0.1:9");
});

test("flags of every command may stand before it", async () => {
  for (const argv of [
    ["--rpc", "http://127.0.0.1:8", "keys", "list"],
    ["--rpc=http://127.0.0.1:8", "--json", "keys", "list"],
    ["--json", "keys", "list", "--rpc", "http://127.0.0.1:8"],
  ]) {
    const { code, err } = await weir(argv, { WEIR_RPC: "http://127.0.0.1:9" });
    expect(code, argv.join(" ")).toBe(1);
    expect(err).toContain("cannot reach Weir at http://127.0.0.1:8");
  }
  expect((await weir(["--help", "keys", "create"])).out).toContain("weir keys create --name NAME");
  expect((await weir(["-h"])).out).toContain("weir <command>");
  expect(await weir(["--rpc", "http://127.0.0.1:8"])).toMatchObject({ code: 0 });
  expect(await weir(["--rcp", "x", "keys", "list"])).toMatchObject({ code: 2, out: "" });
});

test("config check tells what a start would", async () => {
  expect(await weir(["config", "check"], { WEIR_LOG_LEVEL: "debug" })).toMatchObject({ code: 0 });
  const wrong = await weir(["config", "check", "/nowhere.yaml"]);
  expect(wrong).toMatchObject({ code: 1 });
  expect(wrong.err).toContain("there is no such file");
});

test("no words crash it", async () => {
  const words = fc.array(
    fc.oneof(fc.constantFrom("config", "check", "--json", "--rpc", "--help", "-x", "--", "="), fc.string()),
    { maxLength: 6 },
  );
  await fc.assert(
    fc.asyncProperty(words, async (argv) => {
      expect([0, 1, 2]).toContain((await weir(argv, { WEIR_RPC: "http://127.0.0.1:9" })).code);
    }),
  );
});

test("nothing that others named steers the terminal", () => {
  expect(printable("a\u001b[2Jb\u202ec")).toBe("a�[2Jb�c");
  expect(table(["A"], [["x\ny"]])).toBe("A\nx�y");
  expect(table(["A"], [])).toBe("(none)");
});
