/** A mesh of real processes, each of which a test may kill, stop and start again; and the standalone with the same servers behind it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type BackingPostgres,
  type BackingService,
  type Composition,
  freePort,
  startNats,
  startPostgres,
  startRedis,
  supervised,
} from "@weir/testkit";
import { type Operator, operatorOf } from "./operator.ts";

export interface Process {
  readonly rpcUrl: string;
  /** Of what has a facade. */
  readonly httpUrl: string;
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. @returns its exit code */
  stop(): Promise<number | null>;
  /** SIGSTOP: its connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** SIGHUP. */
  hangUp(): void;
  /** The status of /readyz; 0: nobody listens. */
  readyz(): Promise<number>;
  output(): string;
}

export interface Cluster extends AsyncDisposable {
  readonly composition: Composition;
  readonly postgres: BackingPostgres;
  readonly redis: BackingService;
  readonly nats: BackingService;
  /** What has the facade: the ingresses, or the standalone. */
  readonly fronts: readonly (Process & { readonly key: string })[];
  /** What reads `providers` and `models`: the router, or the standalone. */
  readonly routing: Process;
  /** Of a mesh. */
  readonly policies: readonly Process[];
  readonly routers: readonly Process[];
  /** What has the log: audit, or the standalone. */
  readonly logging: Process;
  readonly operator: Operator;
  /** In a mesh the log is behind another address than policy. */
  readonly auditor: Operator["audit"];
  readonly adminToken: string;
  readonly configFile: string;
}

export interface ClusterOptions {
  /** The text of weir.yaml. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of a mesh; default 1 each. */
  readonly policies?: number;
  readonly ingresses?: number;
  readonly routers?: number;
  /** More for one of the policy replicas. */
  readonly policyEnv?: (index: number, env: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  /** Postgres is there and does not run; what needs it waits. */
  readonly withoutPostgres?: boolean;
}

const KEY = "weir-test-bootstrap-key-0123456789";
const ADMIN_TOKEN = "weir-test-admin-token-0123456789";
const MESH_TOKEN = "weir-test-mesh-token-0123456789abcdef";
const mainOf = (name: string): string => fileURLToPath(new URL(`../../services/${name}/src/main.ts`, import.meta.url));

export async function startCluster(composition: Composition, options: ClusterOptions = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const scratch = mkdtempSync(join(tmpdir(), "weir-cluster-"));
  stack.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const [postgres, redis, nats] = await Promise.all([startPostgres(), startRedis(), startNats()]);
  for (const service of [postgres, redis, nats]) stack.use(service);
  if (options.withoutPostgres === true) await postgres.stop();
  const configFile = join(scratch, "weir.yaml");
  writeFileSync(configFile, options.config ?? "{}\n");
  const shared: Record<string, string> = {
    PATH: process.env["PATH"] ?? "",
    WEIR_CONFIG: configFile,
    WEIR_BOOTSTRAP_KEY: KEY,
    WEIR_ADMIN_TOKEN: ADMIN_TOKEN,
    WEIR_MESH_TOKEN: MESH_TOKEN,
    WEIR_DATABASE_URL: postgres.url,
    WEIR_REDIS_URL: redis.url,
    WEIR_NATS_URL: nats.url,
    ...options.env,
  };
  const make = async (name: string, more: Readonly<Record<string, string>> = {}): Promise<Process> => {
    const made = await processOf(name, { ...shared, ...more }, join(scratch, `${name}-${Math.random()}`));
    stack.defer(() => made.kill());
    return made;
  };
  const done = (fronts: Process[], policies: Process[], routers: Process[], audit: Process): Cluster => {
    const running = stack.move();
    const [routing = audit] = [...routers, ...fronts];
    const rpcUrl = policies[0]?.rpcUrl ?? fronts[0]?.rpcUrl ?? "";
    return {
      composition,
      postgres,
      redis,
      nats,
      fronts: fronts.map((front) => ({ ...front, key: KEY })),
      policies,
      routers,
      logging: audit,
      routing,
      operator: operatorOf({ rpcUrl, adminToken: ADMIN_TOKEN }),
      auditor: operatorOf({ rpcUrl: audit.rpcUrl, adminToken: ADMIN_TOKEN }, MESH_TOKEN).audit,
      adminToken: ADMIN_TOKEN,
      configFile,
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  };

  if (composition === "standalone") {
    const one = await make("standalone");
    await one.start();
    if (options.withoutPostgres !== true) await ready([one]);
    return done([one], [], [], one);
  }
  const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => work(index)));
  const audit = await make("audit");
  const policies = await times(options.policies ?? 1, (index) =>
    make("policy", options.policyEnv?.(index, shared) ?? {}),
  );
  const WEIR_PEER_POLICY = policies.map(({ rpcUrl }) => rpcUrl).join(",");
  const routers = await times(options.routers ?? 1, () => make("router", { WEIR_PEER_POLICY }));
  const WEIR_PEER_ROUTER = routers.map(({ rpcUrl }) => rpcUrl).join(",");
  const peers = { WEIR_PEER_POLICY, WEIR_PEER_ROUTER, WEIR_PEER_AUDIT: audit.rpcUrl };
  const ingresses = await times(options.ingresses ?? 1, (index) =>
    make("ingress", { ...peers, WEIR_INSTANCE: `ingress-${index}` }),
  );
  const all = [audit, ...policies, ...routers, ...ingresses];
  await Promise.all(all.map((one) => one.start()));
  if (options.withoutPostgres !== true) await ready(all);
  return done(ingresses, policies, routers, audit);
}

async function ready(all: readonly Process[]): Promise<void> {
  for (const endMs = Date.now() + 60_000; ; await sleep(50)) {
    const states = await Promise.all(all.map((one) => one.readyz()));
    if (states.every((state) => state === 200)) return;
    if (Date.now() > endMs) throw new Error(`not ready in a minute:\n${all.map((one) => one.output()).join("\n")}`);
  }
}

async function processOf(name: string, env: Readonly<Record<string, string>>, dataDir: string): Promise<Process> {
  const [rpcPort, httpPort] = [await freePort(), await freePort()];
  const [rpcUrl, httpUrl] = [`http://127.0.0.1:${rpcPort}`, `http://127.0.0.1:${httpPort}`];
  const hasFacade = name === "ingress" || name === "standalone";
  let child: ChildProcess | undefined;
  let output = "";
  const signal = (what: NodeJS.Signals): void => void child?.kill(what);
  return {
    rpcUrl,
    httpUrl,
    output: () => output,
    async start() {
      const [file, args] = supervised({ file: process.execPath, args: [mainOf(name)], deathSignal: "KILL" });
      const started = spawn(file, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...env,
          WEIR_DATA_DIR: dataDir,
          WEIR_RPC_LISTEN: `127.0.0.1:${rpcPort}`,
          WEIR_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
        },
      });
      child = started;
      const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-100_000));
      started.stdout.on("data", keep);
      started.stderr.on("data", keep);
      await once(started, "spawn");
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
    async stop() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const [code] = (await gone) as [number | null];
      return code;
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    hangUp: () => signal("SIGHUP"),
    async readyz() {
      // Of what has a facade both ports: they open one after the other.
      for (const url of hasFacade ? [httpUrl, rpcUrl] : [rpcUrl]) {
        try {
          const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
          await answer.text();
          if (answer.status !== 200) return answer.status;
        } catch {
          return 0; // not listening yet, or stopped
        }
      }
      return 200;
    },
  };
}
