/** Starting, pinning and measuring processes, from Linux's /proc. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Linux counts CPU time in ticks of 10 ms. */
const TICK_US = 10_000;

const ticksOf = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
};

export interface CpuTime {
  readonly mainUs: number;
  /** Of its worker threads. */
  readonly workersUs: number;
}

const NO_CPU: CpuTime = { mainUs: 0, workersUs: 0 };

/** CPU time of one process so far; none for one that has ended. */
export function cpuOf(pid: number): CpuTime {
  let main = 0;
  let workers = 0;
  try {
    for (const tid of readdirSync(`/proc/${pid}/task`)) {
      const ticks = ticksOf(readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8"));
      if (isWorker(pid, tid)) workers += ticks;
      else main += ticks;
    }
  } catch {
    return NO_CPU;
  }
  return { mainUs: main * TICK_US, workersUs: workers * TICK_US };
}

/** Threads that the program made for background work, not those of Node itself. */
function isWorker(pid: number, tid: string): boolean {
  return readFileSync(`/proc/${pid}/task/${tid}/comm`, "utf8").startsWith("weir-");
}

export function descendantsOf(pid: number): number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      readFileSync(`/proc/${pid}/task/${tid}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
    return children.flatMap((child) => [child, ...descendantsOf(child)]);
  } catch {
    return []; // it ended meanwhile
  }
}

export const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;

/** Moves a process, all its threads included, or one thread, to a core. */
export function pin(id: number, core: number, allThreads = true): void {
  execFileSync("taskset", [...(allThreads ? ["-a"] : []), "-cp", String(core), String(id)], { stdio: "ignore" });
}

export function pinWorkers(pid: number, core: number): void {
  for (const tid of readdirSync(`/proc/${pid}/task`)) if (isWorker(pid, tid)) pin(Number(tid), core, false);
}

/** Before a command: it goes before the others on its core, where this process may say so. */
export const FIRST: readonly string[] = process.getuid?.() === 0 ? ["nice", "-n", "-10"] : [];

export interface Started extends AsyncDisposable {
  readonly pid: number;
  readonly output: () => string;
}

export async function start(
  command: string,
  args: readonly string[],
  options: { core: number; port: number; env?: Record<string, string>; cwd?: string; first?: true },
): Promise<Started> {
  const before = options.first === true ? FIRST : [];
  const child = spawn("taskset", ["-c", String(options.core), ...before, command, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)));
  await listening(child, options.port, () => output);
  return {
    pid: child.pid as number,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const hurry = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await gone;
      clearTimeout(hurry);
    },
  };
}

async function listening(child: ChildProcess, port: number, output: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`nothing listens on ${port}:\n${output()}`);
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch {
      // not yet
    } finally {
      socket.destroy();
    }
  }
}
