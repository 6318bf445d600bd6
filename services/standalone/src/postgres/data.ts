import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { commandFor, runToEnd } from "./process.ts";

const UNFINISHED = "postgres.new-";

/**
 * The data of Postgres, made where it is not there yet. initdb works in a folder of another name, and the rename is what makes it count:
 * one that was killed half-way leaves nothing that looks like data.
 */
export async function initializedData(folder: string, initdb: string, uid: number | undefined): Promise<string> {
  const data = join(folder, "postgres");
  for (const name of readdirSync(folder)) {
    if (name.startsWith(UNFINISHED)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  if (existsSync(join(data, "PG_VERSION"))) return data;
  const unfinished = mkdtempSync(join(folder, UNFINISHED));
  if (uid !== undefined) chownSync(unfinished, uid, uid);
  const args = ["-D", unfinished, "-U", "postgres", "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8"];
  await runToEnd(commandFor(initdb, args, uid));
  renameSync(unfinished, data);
  return data;
}

/** Ends the server that a crash of ours left on this data, if there is one: it has our old settings and an unknown parent. */
export async function stopOrphan(data: string, log: (line: string) => void): Promise<void> {
  const pid = runningPostmaster(data);
  if (pid === undefined) return;
  log(`stopping the Postgres that a crash left behind (pid ${pid})`);
  process.kill(pid, "SIGINT");
  for (const endMs = Date.now() + 30_000; runningPostmaster(data) === pid; await sleep(20)) {
    if (Date.now() > endMs) throw new Error(`Postgres (pid ${pid}) does not stop`);
  }
}

/** A recycled pid belongs to a process that works in another folder. */
function runningPostmaster(data: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]);
    if (!Number.isInteger(pid) || pid <= 1 || !isAlive(pid)) return undefined;
    if (process.platform === "linux" && readlinkSync(`/proc/${pid}/cwd`) !== realpathSync(data)) return undefined;
    return pid;
  } catch {
    return undefined; // no file, or a zombie that nobody reaps: it has no folder any more
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
};

/** Where the server's socket goes: a path for it may have 107 bytes, and the data folder can lie deep. */
export function socketFolder(folder: string, temporary: string, uid: number | undefined): string {
  const near = join(folder, "run");
  const fits = Buffer.byteLength(join(near, ".s.PGSQL.5432.lock")) <= 100;
  if (fits) mkdirSync(near, { recursive: true, mode: 0o700 });
  const chosen = fits ? near : mkdtempSync(join(temporary, "weir-"));
  if (uid !== undefined) chownSync(chosen, uid, uid);
  return chosen;
}
