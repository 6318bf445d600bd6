import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "@weir/testkit";
import { afterEach, expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const folders: string[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
  for (const folder of folders.splice(0)) {
    // Postgres ends a moment after the process that was killed, and writes until then.
    const pidFile = join(folder, "data/postgres/postmaster.pid");
    for (const endMs = Date.now() + 10_000; existsSync(pidFile) && Date.now() < endMs; ) await sleep(20);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
});

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly dataDir: string;
  readonly env: Record<string, string>;
  output(): string;
  readonly exited: Promise<unknown>;
}

async function start(env: Record<string, string> = {}): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), "weir-alone-"));
  folders.push(folder);
  const httpPort = await freePort();
  const all = {
    WEIR_DATA_DIR: join(folder, "data"),
    WEIR_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
    WEIR_RPC_LISTEN: `127.0.0.1:${await freePort()}`,
    ...env,
  };
  const child = spawn(process.execPath, [MAIN], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "", ...all },
  });
  children.push(child);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return {
    child,
    url: `http://${all.WEIR_HTTP_LISTEN}`,
    dataDir: all.WEIR_DATA_DIR,
    env: all,
    output: () => output,
    exited: once(child, "close").then(([code]) => code as unknown),
  };
}

async function ready(weir: Started): Promise<void> {
  const answers = async (): Promise<boolean> => {
    return weir.output().includes("Weir is ready") && (await fetch(`${weir.url}/readyz`)).ok;
  };
  for (const endMs = Date.now() + 60_000; !(await answers().catch(() => false)); await sleep(50)) {
    if (weir.child.exitCode !== null || Date.now() > endMs) throw new Error(`it is not ready:\n${weir.output()}`);
  }
}

const ask = (weir: Started, key: string, body: object = {}): Promise<Response> =>
  fetch(`${weir.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: "Hello" }], ...body }),
  });
const keyOf = (weir: Started): string => /Your key \(shown this once\): {2}(\S+)/.exec(weir.output())?.[1] ?? "";

test("a first start makes a key and a token, and the banner's key works", { timeout: 90_000 }, async () => {
  const weir = await start();
  await ready(weir);
  const key = keyOf(weir);
  expect(key).toMatch(/^wk_/);
  expect(statSync(join(weir.dataDir, "admin-token")).mode & 0o777).toBe(0o600);
  const answer = await ask(weir, key);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ choices: [{ message: { content: "Hello" } }] });
  // The key is shown to the person who started it, and goes into no log line.
  const logged = weir
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"));
  expect(logged.join("\n")).not.toContain(key);
  weir.child.kill("SIGTERM");
  expect(await weir.exited).toBe(0);
  expect(existsSync(join(weir.dataDir, "postgres/postmaster.pid"))).toBe(false);
});

test("killed, it starts again with what it had", { timeout: 90_000 }, async () => {
  const first = await start();
  await ready(first);
  const key = keyOf(first);
  const before = await ask(first, key);
  expect(before.status).toBe(200);
  await before.text();
  first.child.kill("SIGKILL");
  await first.exited;
  const second = await start({ WEIR_DATA_DIR: first.dataDir });
  await ready(second);
  expect(keyOf(second)).toBe(""); // it made one before
  const answer = await ask(second, key);
  expect(answer.status).toBe(200);
  // Both requests come to be in the log, the one before the kill, too.
  const token = readFileSync(join(second.dataDir, "admin-token"), "utf8").trim();
  const logged = async (): Promise<string[]> => {
    const found = await fetch(`http://${second.env["WEIR_RPC_LISTEN"]}/weir.audit.v1.AuditService/List`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ pageSize: 100, kind: "RECORD_KIND_OUTCOME" }),
    });
    const { entries = [] } = (await found.json()) as { entries?: { outcome: { intent: { requestId: string } } }[] };
    return entries.map((entry) => entry.outcome.intent.requestId);
  };
  await expect
    .poll(logged, { timeout: 30_000 })
    .toEqual([answer.headers.get("x-request-id"), before.headers.get("x-request-id")]);
});

test("a second one on the same folder is refused, and does the first no harm", { timeout: 90_000 }, async () => {
  const first = await start();
  await ready(first);
  const second = await start({ WEIR_DATA_DIR: first.dataDir });
  expect(await second.exited).toBe(1);
  expect(second.output()).toContain("another Weir runs on the data folder");
  expect(second.output()).not.toContain("    at ");
  expect((await ask(first, keyOf(first))).status).toBe(200);
});

test("a port in use and a wrong setting are said in a line", { timeout: 90_000 }, async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    for (const variable of ["WEIR_HTTP_LISTEN", "WEIR_RPC_LISTEN"]) {
      const weir = await start({ [variable]: `127.0.0.1:${port}` });
      expect(await weir.exited).toBe(1);
      expect(weir.output()).toContain(`127.0.0.1:${port} is in use by another process. Set ${variable}`);
      // What it had started is gone: the folder can be used.
      expect(existsSync(join(weir.dataDir, "postgres/postmaster.pid"))).toBe(false);
    }
  } finally {
    taken.close();
  }
  const wrong = await start({ WEIR_HTTP_LISTEN: "nowhere" });
  expect(await wrong.exited).toBe(1);
  expect(wrong.output()).toMatch(
    /^weir: the configuration has 1 problem:\n {2}WEIR_HTTP_LISTEN http.listen: not an address/,
  );
});

test("a stop lets a running stream come to its end", { timeout: 90_000 }, async () => {
  const weir = await start();
  await ready(weir);
  const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ");
  const answer = await ask(weir, keyOf(weir), { stream: true, messages: [{ role: "user", content: words }] });
  expect(answer.status).toBe(200);
  weir.child.kill("SIGTERM");
  expect(await answer.text()).toMatch(/data: \[DONE\]\s*$/);
  expect(await weir.exited).toBe(0);
});

test("who is told to stop says so, and takes requests until load balancers have noticed", {
  timeout: 90_000,
}, async () => {
  const weir = await start({ WEIR_HTTP_DRAIN_DELAY: "3s" });
  await ready(weir);
  weir.child.kill("SIGTERM");
  await expect.poll(async () => (await fetch(`${weir.url}/readyz`)).status).toBe(503);
  expect((await ask(weir, keyOf(weir))).status).toBe(200);
  expect(await weir.exited).toBe(0);
});

test("the token's file opens the admin services to the command line, and nothing else does", {
  timeout: 90_000,
}, async () => {
  const weir = await start();
  await ready(weir);
  const call = (service: string, headers: Record<string, string>): Promise<Response> =>
    fetch(`http://${weir.env["WEIR_RPC_LISTEN"]}/${service}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: "{}",
    });
  const token = readFileSync(join(weir.dataDir, "admin-token"), "utf8").trim();
  const admin = { authorization: `Bearer ${token}` };
  expect((await call("weir.policy.v1.PolicyAdminService/ListKeys", admin)).status).toBe(200);
  expect((await call("weir.policy.v1.PolicyAdminService/ListKeys", {})).status).toBe(401);
  expect((await call("weir.audit.v1.AuditService/List", admin)).status).toBe(200);
  expect((await call("weir.audit.v1.AuditService/List", {})).status).toBe(401);
  // No side door: a provider is called through the gateway's policy or not at all.
  for (const door of ["weir.router.v1.RouterService/ListModels", "weir.policy.v1.PolicyService/Watch"]) {
    expect((await call(door, admin)).status, door).toBeGreaterThanOrEqual(400);
  }
  const mesh = readFileSync(join(weir.dataDir, "mesh-token"), "utf8").trim();
  expect((await call("weir.router.v1.RouterService/ListModels", { "x-weir-mesh-token": mesh })).status).toBe(200);
});
