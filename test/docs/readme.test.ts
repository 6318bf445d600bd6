/** The README's first call and commands, done as they are written. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type BootedWeir, bootWeir } from "@weir/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeBlocks, read, ROOT } from "./pages.ts";

const blocks = codeBlocks(read("README.md"));
let weir: BootedWeir;
beforeAll(async () => {
  weir = await bootWeir("standalone");
});
afterAll(() => weir[Symbol.asyncDispose]());

/** Where the README has the defaults, the test's own Weir is asked. */
const here = (code: string): string => code.replaceAll("http://127.0.0.1:8080", weir.httpUrl);

async function run(file: string, args: readonly string[]): Promise<string> {
  const child = spawn(file, args, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env["PATH"] ?? "",
      WEIR_KEY: weir.key,
      WEIR_RPC: weir.rpcUrl,
      WEIR_ADMIN_TOKEN: weir.adminToken,
      // Where the command line finds the rest, as on an operator's machine.
      WEIR_DATA_DIR: weir.dataDir,
    },
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  expect(code, `${args.join(" ")}\n${output}`).toBe(0);
  return output;
}

test("the curl command is answered", async () => {
  const [block] = blocks.filter(({ language, mark }) => language === "sh" && mark === "first-call");
  const commands = (block?.code ?? "")
    .replace(/^export .*\n/, "")
    .replace("curl ", "curl --silent --show-error --fail-with-body ");
  const answer = JSON.parse(await run("sh", ["-ec", here(commands)])) as {
    choices: { message: { content: string } }[];
  };
  expect(answer.choices[0]?.message.content).toBe("Hello");
});

const programs = blocks.filter(({ language, mark }) => language === "ts" && mark === "first-call");
test.each(programs)("the program is answered: $code", async ({ code }) => {
  expect(await run(process.execPath, ["--input-type=module-typescript", "--eval", here(code)])).toContain("Hello");
});

test("there is a program for each SDK", () => {
  expect(programs.map(({ code }) => /from "([^"]+)"/.exec(code)?.[1])).toEqual(["openai", "@anthropic-ai/sdk"]);
});

const operate = [...blocks, ...codeBlocks(read("docs/operations.md"))]
  .filter(({ mark }) => mark === "operate")
  .flatMap(({ code }) => code.trim().split("\n"));
test.each(operate)("%s", { timeout: 30_000 }, async (command) => {
  const [, words = ""] = /^pnpm weir (.+)$/.exec(command) ?? [];
  expect(words).not.toBe("");
  expect(await run(process.execPath, ["packages/cli/src/main.ts", ...words.split(" ")])).not.toBe("");
});

test("the first commands are those of the package", () => {
  const first = blocks[0]?.code ?? "";
  expect(first).toMatch(/^npx -y pnpm@12\.21\.0 start /);
  expect(first).toMatch(/^npx -y pnpm@12\.21\.0 test /m);
});

test("the example of weir.yaml is one", { timeout: 30_000 }, async () => {
  const { checkConfig } = await import("@weir/config");
  const yaml = blocks.find(({ language }) => language === "yaml")?.code;
  const env = { OPENAI_API_KEY: "sk-1", ANTHROPIC_API_KEY: "sk-2" };
  const config = checkConfig(yaml, "weir.yaml", env, ROOT);
  expect([...config.models.keys()]).toEqual(["fast", "llama"]);
});
