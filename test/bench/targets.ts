/** What is measured: each target answers the same request with the same upstream behind it. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "@weir/testkit";
import { setTimeout as sleep } from "node:timers/promises";
import { descendantsOf, pin, pinWorkers, type Started, start } from "./processes.ts";

export interface Target extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The processes on the proxy's core. */
  readonly pids: readonly number[];
  /** Its database, workers and other services, on the load generator's core. */
  readonly helpers: () => readonly number[];
  /** It cannot be measured with streams. */
  readonly whole?: true;
  /** Bytes that wait to be recorded, where it records. */
  readonly backlog?: () => Promise<number>;
}

const PROXY_CORE = 0;
const OTHER_CORE = 1;
const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const PORTKEY = "@portkey-ai/gateway@1.15.2";

const KEY = "weir-bench-key-0123456789abcdef";

const BUDGETS =
  "[{ period: month, limit_usd: 100000000, hard: true }, { period: day, limit_tokens: 100000000000000, hard: false }]";

/** Auth, limits, a hard budget on the path and the audit log: everything that a production key has. */
const configOf = (upstream: number, budgets: string): string => `
providers:
  bench: { kind: openai-compatible, base_url: "http://127.0.0.1:${upstream}/v1", api_key: "env:BENCH_PROVIDER_KEY" }
models:
  gpt-4o-mini:
    targets: [{ provider: bench, model: gpt-4o-mini }]
    price: { input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.60 }
    context_window: 128000
    max_output_tokens: 16384
workspaces:
  default:
    budgets: ${budgets}
    limits: [{ per: key, requests: 1000000000, window: 60s }]
`;

const PATH = "/v1/chat/completions";

export function direct(port: number): Target {
  return {
    name: "direct",
    port,
    path: PATH,
    headers: {},
    pids: [],
    helpers: () => [],
    async [Symbol.asyncDispose]() {},
  };
}

export async function nginx(upstream: number): Promise<Target | undefined> {
  const binary = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"].find((path) => existsSync(path));
  if (binary === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-nginx-"));
  const port = await freePort();
  writeFileSync(
    join(folder, "nginx.conf"),
    `worker_processes 1; daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  keepalive_requests 1000000000;
  upstream provider { server 127.0.0.1:${upstream}; keepalive 256; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header connection ""; proxy_buffering off; } } }`,
  );
  const started = await start(binary, ["-c", join(folder, "nginx.conf"), "-p", folder], { core: PROXY_CORE, port });
  return {
    name: "nginx",
    port,
    path: PATH,
    headers: {},
    pids: [started.pid, ...descendantsOf(started.pid)],
    helpers: () => [],
    ...ended(started, folder),
  };
}

function ended(started: Started, folder: string): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function backlogOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^weir_spool_bytes (\S+)/m.exec(text)?.[1] ?? Number.NaN);
}

async function weirReady(port: number, output: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    try {
      if ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok) return;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    if (Date.now() > end) throw new Error(`Weir was not ready in a minute:\n${output()}`);
  }
}

async function startWeir(
  name: string,
  entry: string,
  upstream: number,
  budgets = BUDGETS,
): Promise<{ started: Started; folder: string; port: number }> {
  const folder = mkdtempSync(join(tmpdir(), `weir-bench-${name}-`));
  const [port, rpcPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, "weir.yaml"), configOf(upstream, budgets));
  const started = await start(process.execPath, [join(REPOSITORY, entry)], {
    core: PROXY_CORE,
    port,
    cwd: folder,
    env: {
      WEIR_CONFIG: join(folder, "weir.yaml"),
      WEIR_DATA_DIR: join(folder, "data"),
      WEIR_HTTP_LISTEN: `127.0.0.1:${port}`,
      WEIR_RPC_LISTEN: `127.0.0.1:${rpcPort}`,
      WEIR_BOOTSTRAP_KEY: KEY,
      WEIR_ADMIN_TOKEN: "weir-bench-admin-token",
      WEIR_LOG_LEVEL: "warn",
      BENCH_PROVIDER_KEY: "sk-bench",
    },
  });
  await weirReady(port, started.output);
  return { started, folder, port };
}

const bearer = { authorization: `Bearer ${KEY}` };

/** The same without budgets: what it does beside counting money. */
export const withoutBudgets = (upstream: number): Promise<Target> =>
  standalone(upstream, { name: "weir without budgets", budgets: "[]" });

export async function standalone(
  upstream: number,
  { name = "weir standalone", budgets = BUDGETS }: { name?: string; budgets?: string } = {},
): Promise<Target> {
  const { started, folder, port } = await startWeir("standalone", "services/standalone/src/main.ts", upstream, budgets);
  pinWorkers(started.pid, OTHER_CORE);
  for (const pid of descendantsOf(started.pid)) pin(pid, OTHER_CORE);
  return {
    name,
    port,
    path: PATH,
    headers: bearer,
    pids: [started.pid],
    helpers: () => descendantsOf(started.pid),
    backlog: () => backlogOf(port),
    ...ended(started, folder),
  };
}

/** Which of a mesh's processes are on the request's path. */
const onPath = (pid: number): boolean =>
  /services\/(ingress|router)\//.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));

export async function mesh(upstream: number): Promise<Target> {
  const { started, folder, port } = await startWeir("mesh", "tools/mesh.ts", upstream);
  const all = descendantsOf(started.pid);
  const pids = all.filter(onPath);
  for (const pid of all) {
    pin(pid, pids.includes(pid) ? PROXY_CORE : OTHER_CORE);
    if (pids.includes(pid)) pinWorkers(pid, OTHER_CORE);
  }
  return {
    name: "weir mesh",
    port,
    path: PATH,
    headers: bearer,
    pids,
    helpers: () => descendantsOf(started.pid).filter((pid) => !pids.includes(pid)),
    backlog: () => backlogOf(port),
    ...ended(started, folder),
  };
}

/** Installed on demand from npm, beside the workspace: nobody who only runs Weir should have to download it. */
export async function portkey(upstream: number): Promise<Target> {
  const folder = join(REPOSITORY, "node_modules/.cache/weir-bench/portkey");
  const entry = join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js");
  if (!existsSync(entry)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"private":true}');
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", PORTKEY], {
      cwd: folder,
      stdio: "inherit",
    });
  }
  const port = await freePort();
  const started = await start(process.execPath, [entry, "--headless", `--port=${port}`], {
    core: PROXY_CORE,
    port,
    // It calls loopback addresses only when it is told to trust them.
    env: { TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost", NODE_ENV: "production" },
  });
  return {
    name: "portkey",
    // 1.15.2 answers every stream with 500 on Node 24: it changes headers of a fetch answer, which are immutable.
    whole: true,
    port,
    path: PATH,
    headers: {
      authorization: "Bearer sk-bench",
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `http://127.0.0.1:${upstream}/v1`,
    },
    pids: [started.pid],
    helpers: () => [],
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]();
    },
  };
}
