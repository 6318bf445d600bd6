import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { StartError } from "../data-folder.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

/** Postgres refuses to be root: then it gets the id of the folder's owner, or nobody's. Undefined: ours. */
export function serverUid(folder: string): number | undefined {
  if (!isRoot) return undefined;
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  return statSync(existing).uid || NOBODY;
}

function hasSetpriv(): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, "setpriv"), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * On Linux, setpriv makes Postgres stop when this process dies, however it dies. For root it also changes the user, and leaves the right
 * to pass through folders: node_modules may lie where no other user can look (/root).
 */
export function commandFor(file: string, args: readonly string[], uid: number | undefined): [string, string[]] {
  if (process.platform !== "linux" || !hasSetpriv()) {
    if (uid === undefined) return [file, [...args]]; // an orphan is then stopped by the next start
    throw new StartError(
      "Postgres does not run as root, and setpriv (Debian: util-linux) is not here to change the user. Run Weir as another user, or set WEIR_DATABASE_URL.",
    );
  }
  const caps = "-all,+dac_override";
  // no_setuid_fixup: without it access(2), which initdb and postgres use on their own path, ignores the capability.
  const drop = `--reuid ${uid} --regid ${uid} --clear-groups --inh-caps ${caps} --ambient-caps ${caps} --bounding-set ${caps} --securebits +no_setuid_fixup`;
  return ["setpriv", [...(uid === undefined ? [] : drop.split(" ")), "--pdeathsig", "INT", "--", file, ...args]];
}

/** Runs a program to its end. @throws Error with what it said on stderr when it fails */
export async function runToEnd([file, args]: [string, string[]]): Promise<void> {
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"], cwd: "/" });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${stderr.trim()}`);
}
