/** What deploy/ says, held to the programs: they run from the bundle alone, each with the environment that compose gives it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, startNats, startPostgres, startRedis } from "@weir/testkit";
import { expect, test } from "vitest";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const SERVICES = ["audit", "evaluation", "policy", "router", "ingress"] as const;

interface ComposeService {
  readonly environment?: Readonly<Record<string, string>>;
  readonly env_file?: readonly { readonly path: string }[];
  readonly build?: {
    readonly dockerfile: string;
    readonly context: string;
    readonly args: Readonly<{ PROGRAM: string }>;
  };
  readonly volumes?: readonly string[];
}
const compose = parse(read("deploy/compose/compose.yaml"), { merge: true }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
};

/** As compose reads an environment file. */
const variables = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]));
const EXAMPLE = variables(read("deploy/compose/.env.example"));
const environmentOf = (service: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(compose.services[service]?.environment ?? {}).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{(\w+)(:\?|:-)[^}]*\}/g, (_, variable: string, kind: string) => {
        const given = EXAMPLE[variable];
        if (given === undefined && kind === ":?") throw new Error(`.env.example lacks ${variable}`);
        return given ?? "";
      }),
    ]),
  );

test("the Dockerfile copies what is there and builds with a script that exists", () => {
  const dockerfile = read("deploy/docker/Dockerfile");
  const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from = ""]) => from.split(" "));
  expect(sources.length).toBeGreaterThan(4);
  expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([]);
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  expect(scripts["bundle"]).toBe("node tools/bundle.ts");
  const kept = read("deploy/docker/Dockerfile.dockerignore");
  for (const source of sources) expect(kept).toContain(`!${source.replace("./", "")}\n`);
});

test("compose gives the keys of providers to the router only, and mounts files that are there", () => {
  for (const [name, { environment = {}, env_file: files = [], build, volumes = [] }] of Object.entries(
    compose.services,
  )) {
    expect(files.map(({ path }) => path)).toEqual(name === "router" ? ["providers.env"] : []);
    expect(Object.keys(environment).filter((variable) => /(OPENAI|ANTHROPIC|GEMINI)/.test(variable))).toEqual([]);
    if (build !== undefined)
      expect(existsSync(join(ROOT, "deploy/compose", build.context, build.dockerfile))).toBe(true);
    for (const volume of volumes.filter((text) => text.startsWith("./"))) {
      expect(existsSync(join(ROOT, "deploy/compose", volume.split(":")[0] ?? ""))).toBe(true);
    }
  }
  expect(Object.keys(variables(read("deploy/compose/providers.env.example")))).toContain("OPENAI_API_KEY");
});

test("the bundled services are a mesh, outside this repository and with compose's environment", {
  timeout: 180_000,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "weir-bundle-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const run = async (file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> => {
    const child = spawn(process.execPath, [file, ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`${file} ended with ${code}:\n${output}`);
    return output;
  };
  const dist = join(folder, "dist");
  await run(join(ROOT, "tools/bundle.ts"), [dist], process.env);
  for (const { build } of Object.values(compose.services)) {
    if (build !== undefined) expect(readdirSync(join(dist, build.args.PROGRAM))).toContain("main.js");
  }

  const backing = [await startPostgres(), await startRedis(), await startNats()] as const;
  for (const service of backing) stack.use(service);
  const [postgres, redis, nats] = backing;
  const ports = new Map(await Promise.all(SERVICES.map(async (name) => [name, await freePort()] as const)));
  const httpPort = await freePort();
  const config = join(folder, "weir.yaml");
  // A key that only the router is given.
  writeFileSync(
    config,
    `${read("deploy/compose/weir.yaml")}\nproviders:\n  paid: { kind: openai, api_key: "env:PAID_KEY" }\n`,
  );
  const here = (value: string): string =>
    value
      .replace(/^postgres:\/\/.*/, postgres.url)
      .replace(/^redis:\/\/.*/, redis.url)
      .replace(/^nats:\/\/.*/, nats.url)
      .replace(/^http:\/\/(\w+):8081$/, (_, name: string) => `http://127.0.0.1:${ports.get(name as "audit")}`)
      .replace("/etc/weir/weir.yaml", config);
  const local = (service: string): Record<string, string> => ({
    PATH: process.env["PATH"] ?? "",
    ...Object.fromEntries(Object.entries(environmentOf(service)).map(([name, value]) => [name, here(value)])),
  });

  const running = SERVICES.map((name) => {
    const dataDir = join(folder, "data", name);
    mkdirSync(dataDir, { recursive: true });
    const child = spawn(process.execPath, ["--enable-source-maps", "main.js"], {
      cwd: join(dist, name),
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...local(name),
        ...(name === "router" ? { PAID_KEY: "sk-paid" } : {}),
        ...(name === "ingress" ? { WEIR_HTTP_LISTEN: `127.0.0.1:${httpPort}` } : {}),
        WEIR_RPC_LISTEN: `127.0.0.1:${ports.get(name)}`,
        WEIR_DATA_DIR: dataDir,
      },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const exited = once(child, "exit").then(([code]) => code as number | null);
    stack.defer(async () => {
      child.kill("SIGKILL");
      await exited;
    });
    return { name, child, exited, output: () => output };
  });
  // Compose's own health check.
  for (const { name, child, output } of running) {
    for (const end = Date.now() + 60_000; ; await sleep(50)) {
      const answer = await fetch(`http://127.0.0.1:${ports.get(name)}/readyz`).catch(() => undefined);
      if (answer?.ok === true) break;
      if (child.exitCode !== null || Date.now() > end) throw new Error(`${name} is not ready:\n${output()}`);
    }
  }
  const chat = await fetch(`http://127.0.0.1:${httpPort}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${EXAMPLE["WEIR_BOOTSTRAP_KEY"]}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", messages: [{ role: "user", content: "Hello" }] }),
  });
  expect(chat.status, await chat.text()).toBe(200);
  const metrics = await fetch(`http://127.0.0.1:${ports.get("router")}/metrics`);
  expect(await metrics.text()).toContain('weir_provider_attempts_total{provider="echo",outcome="served"} 1');

  const cli = (args: readonly string[], env: Record<string, string> = {}): Promise<string> =>
    run(join(dist, "cli", "main.js"), args, { ...local("cli"), ...env });
  expect(await cli(["workspaces", "list"])).toContain("default");
  const requestId = chat.headers.get("x-weir-request-id") ?? "none";
  await expect
    .poll(() => cli(["audit", "list"], { WEIR_RPC: `http://127.0.0.1:${ports.get("audit")}` }), { timeout: 30_000 })
    .toContain(requestId);

  for (const { child, exited, name, output } of running.toReversed()) {
    child.kill("SIGTERM");
    expect(await exited, `${name}:\n${output()}`).toBe(0);
  }
});
