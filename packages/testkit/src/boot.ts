import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./backing/free-port.ts";

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

/** How Weir is put together; a scenario holds under both. */
export type Composition = "standalone" | "mesh";
export const COMPOSITIONS: readonly Composition[] = ["standalone", "mesh"];

export interface BootOptions {
  /** The text of weir.yaml. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Keeps the data of an earlier boot; default: a new folder, removed at the end. */
  readonly dataDir?: string;
}

/** A running Weir, in processes of its own. */
export interface BootedWeir extends AsyncDisposable {
  readonly composition: Composition;
  /** "http://127.0.0.1:…", without /v1. */
  readonly httpUrl: string;
  readonly rpcUrl: string;
  readonly key: string;
  readonly adminToken: string;
  readonly dataDir: string;
  /** The process that was started; in a mesh its children are the services. */
  readonly pid: number;
  /** The process that holds the HTTP facade. */
  ingressPid(): number;
  /** SIGKILL to all of it. */
  kill(): Promise<void>;
  /** SIGTERM; @returns its exit code */
  stop(): Promise<number | null>;
  /** All it wrote so far. */
  output(): string;
}

const SCRIPTS: Record<Composition, string> = {
  standalone: "services/standalone/src/main.ts",
  mesh: "tools/mesh.ts",
};

export async function bootWeir(composition: Composition, options: BootOptions = {}): Promise<BootedWeir> {
  const scratch = mkdtempSync(join(tmpdir(), "weir-boot-"));
  const dataDir = options.dataDir ?? join(scratch, "data");
  const [httpPort, rpcPort] = [await freePort(), await freePort()];
  const key = options.env?.["WEIR_BOOTSTRAP_KEY"] ?? "weir-test-bootstrap-key-0123456789";
  const adminToken = options.env?.["WEIR_ADMIN_TOKEN"] ?? "weir-test-admin-token-0123456789";
  const configFile = join(scratch, "weir.yaml");
  writeFileSync(configFile, options.config ?? "{}\n");
  const child = spawn(process.execPath, [join(REPOSITORY, SCRIPTS[composition])], {
    cwd: scratch,
    // A group of its own: kill() ends all of it, as a machine that dies would.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...cleanEnvironment(),
      WEIR_CONFIG: configFile,
      WEIR_DATA_DIR: dataDir,
      WEIR_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
      WEIR_RPC_LISTEN: `127.0.0.1:${rpcPort}`,
      WEIR_BOOTSTRAP_KEY: key,
      WEIR_ADMIN_TOKEN: adminToken,
      WEIR_LOG_LEVEL: "info",
      ...options.env,
    },
  });
  let output = "";
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-1_000_000);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch (error) {
      // The group is gone already.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  const remove = (): void => rmSync(scratch, { recursive: true, force: true });
  try {
    await ready(child, `http://127.0.0.1:${httpPort}/readyz`, () => output);
  } catch (error) {
    signalAll("SIGKILL");
    remove();
    throw error;
  }
  const pid = child.pid as number;
  return {
    composition,
    httpUrl: `http://127.0.0.1:${httpPort}`,
    rpcUrl: `http://127.0.0.1:${rpcPort}`,
    key,
    adminToken,
    dataDir,
    pid,
    ingressPid: () => (composition === "standalone" ? pid : Number(/ingress.*?pid[ =](\d+)/.exec(output)?.[1] ?? pid)),
    output: () => output,
    async kill() {
      signalAll("SIGKILL");
      await exited;
    },
    async stop() {
      child.kill("SIGTERM");
      return await exited;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        const late = setTimeout(() => signalAll("SIGKILL"), 20_000);
        await exited;
        clearTimeout(late);
      }
      signalAll("SIGKILL");
      remove();
    },
  };
}

/** What the machine has set for itself must not steer a test. */
function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(WEIR_|OTEL_|VITEST|OPENAI_|ANTHROPIC_|GEMINI_|GOOGLE_)/.test(name),
  );
  return Object.fromEntries(kept) as Record<string, string>;
}

async function ready(child: ChildProcess, url: string, output: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Weir ended at its start:\n${output()}`);
    try {
      if ((await fetch(url)).ok) return;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    if (Date.now() > end) throw new Error(`Weir was not ready in a minute:\n${output()}`);
  }
}
