/**
 * pnpm bench [--seconds 5] [--rounds 3] [--only direct,nginx,standalone,no-budgets,mesh,portkey,policy,guardrails] [--modes saturated,200/s,streams]: rounds of all targets in
 * turn, each proxy alone on one core, load generator, provider, databases and background work on the other. Prints ratios; writes the raw figures as JSON. Linux with
 * two cores; as root the load generator and the provider go before what shares their core, so that the clock of the measurement is not what is measured.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { freePort } from "@weir/testkit";
import type { LoadOptions, LoadResult } from "./load.ts";
import { cpuOf, type CpuTime, FIRST, rssOf, start } from "./processes.ts";
import { measureGuardrails } from "./guardrails.ts";
import { measurePolicy } from "./policy.ts";
import { render, renderGuardrails, renderPolicy } from "./report.ts";
import { direct, mesh, nginx, portkey, standalone, type Target, withoutBudgets } from "./targets.ts";
import { hasWrk, wrk } from "./wrk.ts";
import { spawn } from "node:child_process";
import { once } from "node:events";

const FOLDER = dirname(fileURLToPath(import.meta.url));
const OTHER_CORE = "1";

const BODY = {
  model: "gpt-4o-mini",
  messages: [
    { role: "system", content: "You are a helpful assistant that answers briefly and to the point." },
    {
      role: "user",
      content: `Explain what a weir is and why people build it. ${"Mention rivers, mills and fish. ".repeat(12)}`,
    },
  ],
  max_tokens: 256,
  temperature: 0.2,
};

export interface Mode {
  readonly name: "saturated" | "200/s" | "streams";
  readonly stream: boolean;
  readonly connections: number;
  readonly rate?: number;
}

const ALL_MODES: readonly Mode[] = [
  { name: "saturated", stream: false, connections: 64 },
  { name: "200/s", stream: false, connections: 64, rate: 200 },
  { name: "streams", stream: true, connections: 64 },
];

export interface Measurement extends LoadResult {
  readonly target: string;
  readonly mode: Mode["name"];
  readonly round: number;
  /** CPU time per request: of the proxy, of its worker threads, of its databases and background processes. */
  readonly cpuUs: number;
  readonly workersUs: number;
  readonly helpersUs: number;
  readonly rssBytes: number;
  /** Growth of what waits to be recorded, per second. */
  readonly backlogPerSecond: number;
}

async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const child = spawn(
    "taskset",
    ["-c", OTHER_CORE, ...FIRST, process.execPath, join(FOLDER, "load.ts"), JSON.stringify(options)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(output) as LoadResult;
}

type CpuTimes = ReadonlyMap<number, CpuTime>;

const cpuTimes = (pids: readonly number[]): CpuTimes => new Map(pids.map((pid) => [pid, cpuOf(pid)]));

/** What was used between two looks. A process that ended meanwhile counts for nothing, one that came for all that it used. */
function used(before: CpuTimes, after: CpuTimes): CpuTime {
  let [mainUs, workersUs] = [0, 0];
  for (const [pid, now] of after) {
    mainUs += Math.max(0, now.mainUs - (before.get(pid)?.mainUs ?? 0));
    workersUs += Math.max(0, now.workersUs - (before.get(pid)?.workersUs ?? 0));
  }
  return { mainUs, workersUs };
}

async function measure(target: Target, mode: Mode, round: number, seconds: number): Promise<Measurement> {
  const options: LoadOptions = {
    port: target.port,
    path: target.path,
    headers: target.headers,
    body: JSON.stringify(mode.stream ? { ...BODY, stream: true, stream_options: { include_usage: true } } : BODY),
    connections: mode.connections,
    seconds,
    endsWith: mode.stream ? "data: [DONE]\n\n\r\n0\r\n\r\n" : "}",
    ...(mode.rate === undefined ? {} : { rate: mode.rate }),
  };
  const look = async () => ({
    proxy: cpuTimes(target.pids),
    helpers: cpuTimes(target.helpers()),
    backlog: (await target.backlog?.()) ?? 0,
  });
  const before = await look();
  const result = await (mode.name === "saturated" && hasWrk ? wrk(options, OTHER_CORE) : runLoad(options));
  const after = await look();
  const each = (us: number): number => us / Math.max(1, result.requests);
  const proxy = used(before.proxy, after.proxy);
  const helpers = used(before.helpers, after.helpers);
  return {
    ...result,
    target: target.name,
    mode: mode.name,
    round,
    cpuUs: each(proxy.mainUs),
    workersUs: each(proxy.workersUs),
    helpersUs: each(helpers.mainUs + helpers.workersUs),
    rssBytes: target.pids.reduce((sum, pid) => sum + rssOf(pid), 0),
    backlogPerSecond: (after.backlog - before.backlog) / result.seconds,
  };
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    modes: { type: "string" },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const only = values.only?.split(",");
const wanted = (name: string): boolean => only === undefined || only.includes(name);

const MODES = ALL_MODES.filter(({ name }) => values.modes === undefined || values.modes.split(",").includes(name));

if (cpus().length < 2) throw new Error("the bench needs two cores: one for the proxy, one for the load");
await using stack = new AsyncDisposableStack();
const upstreamPort = await freePort();
stack.use(
  await start(process.execPath, [join(FOLDER, "upstream.ts"), String(upstreamPort)], {
    core: 1,
    port: upstreamPort,
    first: true,
  }),
);
const targets: Target[] = [];
const add = (target: Target | undefined): void => {
  if (target !== undefined) targets.push(stack.use(target));
};
if (wanted("direct")) add(direct(upstreamPort));
if (wanted("nginx")) add(await nginx(upstreamPort));
if (wanted("standalone")) add(await standalone(upstreamPort));
if (wanted("no-budgets")) add(await withoutBudgets(upstreamPort));
if (wanted("mesh")) add(await mesh(upstreamPort));
if (wanted("portkey")) add(await portkey(upstreamPort));

const measurements: Measurement[] = [];
const modesOf = (target: Target): readonly Mode[] =>
  target.whole === true ? MODES.filter(({ stream }) => !stream) : MODES;
for (const target of targets) for (const mode of modesOf(target)) await measure(target, mode, 0, Math.min(2, seconds)); // warm
for (let round = 1; round <= rounds; round += 1) {
  for (const mode of MODES) {
    for (const target of targets.filter((each) => modesOf(each).includes(mode))) {
      const measurement = await measure(target, mode, round, seconds);
      measurements.push(measurement);
      const void_ = measurement.failures.length > 0 ? `  VOID: ${measurement.failures.join("; ")}` : "";
      console.error(
        `round ${round} ${mode.name} ${target.name}: ${measurement.perSecond.toFixed(0)}/s, ${measurement.cpuUs.toFixed(1)} µs${void_}`,
      );
    }
  }
}
const valid = measurements.filter((measurement) => measurement.failures.length === 0);
console.log(`saturated by ${hasWrk ? "wrk" : "load.ts (wrk is not installed)"}`);
console.log(
  render(
    valid,
    targets.map(({ name }) => name),
  ),
);
const ofPolicy = wanted("policy") ? await measurePolicy(seconds) : undefined;
if (ofPolicy !== undefined) console.log(renderPolicy(ofPolicy));
const ofGuardrails = wanted("guardrails") ? measureGuardrails(2 * seconds) : undefined;
if (ofGuardrails !== undefined) console.log(renderGuardrails(ofGuardrails));
const results = join(FOLDER, "results");
mkdirSync(results, { recursive: true });
const file = join(results, `${new Date().toISOString().replaceAll(":", "-")}.json`);
const machine = {
  load: hasWrk ? "wrk" : "load.ts",
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  kernel: release(),
  node: process.version,
};
writeFileSync(
  file,
  JSON.stringify({ machine, seconds, rounds, measurements, policy: ofPolicy, guardrails: ofGuardrails }, undefined, 2),
);
console.log(`raw figures: ${file}`);
const voided = measurements.length - valid.length;
if (voided > 0) {
  console.log(`${voided} windows are void: a request failed in them`);
  process.exitCode = 1;
}
