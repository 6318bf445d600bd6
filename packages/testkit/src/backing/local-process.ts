import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

/** Who runs servers that refuse to be root; undefined: whoever we are. */
export const unprivilegedUid: number | undefined = isRoot ? NOBODY : undefined;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  /** Run as this user (we must be root). */
  readonly uid?: number | undefined;
  /** What it gets when this process dies, however it dies. */
  readonly deathSignal: "INT" | "KILL";
}

/**
 * On Linux, setpriv asks the kernel to end the server together with the thread that started it; it then becomes the server, so the pid
 * is the server's. A changed user keeps one right, to pass through folders that only root may enter (node_modules below /root).
 */
export function supervised(command: Command): [string, string[]] {
  const { file, args, uid, deathSignal } = command;
  if (process.platform !== "linux") return [file, [...args]];
  const caps = "-all,+dac_override";
  const drop =
    uid === undefined
      ? []
      : `--reuid ${uid} --regid ${uid} --clear-groups --inh-caps ${caps} --ambient-caps ${caps} --bounding-set ${caps} --securebits +no_setuid_fixup`.split(
          " ",
        );
  return ["setpriv", [...drop, "--pdeathsig", deathSignal, "--", file, ...args]];
}

/** Runs a program to its end. @throws Error with what it said, when it fails */
export async function runToEnd(command: Command): Promise<void> {
  const [file, args] = supervised(command);
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"], cwd: "/" });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command.file} ended with ${code}: ${stderr.trim()}`);
}

export interface LocalProcess {
  readonly running: boolean;
  readonly exited: Promise<void>;
  /** The last it printed, for error messages. */
  output(): string;
  signal(name: "SIGINT" | "SIGTERM"): void;
  /** SIGKILL, SIGSTOP or SIGCONT for it and its children: stopping the parent alone leaves Postgres's backends answering. */
  signalAll(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
}

export function startProcess(command: Command): LocalProcess {
  const [file, args] = supervised(command);
  // detached: Ctrl-C is for the process under test; who started us ends us in order.
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, cwd: "/" });
  let output = "";
  const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4_000));
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  const exited = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      output += error.message;
      resolve();
    });
    child.once("exit", () => resolve());
  }).then(() => void process.off("exit", end));
  const running = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    get running() {
      return running();
    },
    exited,
    output: () => output,
    signal: (name) => void (running() && child.kill(name)),
    signalAll: (name) => signalTree(child, name),
  };
}

function signalTree(child: ChildProcess, name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGSTOP"); // so that it makes no more children while we look
  for (const pid of childrenOf(child.pid)) sendTo(pid, name);
  child.kill(name);
}

function sendTo(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // it ended meanwhile
  }
}

function childrenOf(parent: number): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; state and parent follow the last one.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined; // it ended meanwhile
  }
}
