import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What all test processes of this user share: templates, locks, and a folder per server. */
export function scratchRoot(): string {
  const root = join(tmpdir(), `weir-test-${process.getuid?.() ?? "user"}`);
  mkdirSync(root, { recursive: true, mode: 0o711 });
  return root;
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
};

/** A new folder for one server, owned by `uid`. Sweeps those of test processes that died without removing theirs. */
export function scratchFolder(kind: string, uid: number | undefined): string {
  const root = scratchRoot();
  for (const name of readdirSync(root)) {
    const owner = /^\d+(?=-)/.exec(name)?.[0];
    if (owner !== undefined && !isAlive(Number(owner))) rmSync(join(root, name), { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(root, `${process.pid}-${kind}-`));
  if (uid !== undefined) chownSync(folder, uid, uid);
  return folder;
}
