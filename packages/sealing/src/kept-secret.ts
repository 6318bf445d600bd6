import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** A secret in a file that only its owner can read; undefined where there is none yet. */
export function readSecret(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

/** A secret in a file that only its owner can read, made on first use. */
export function keptSecret(path: string, make: () => Uint8Array | string): Buffer {
  const kept = readSecret(path);
  if (kept !== undefined) return kept;
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Written aside and linked: a crash leaves no half of a secret, and of two starts at once one wins.
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    writeFileSync(draft, make(), { mode: 0o600, flag: "wx", flush: true });
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(folder);
  return readFileSync(path);
}

/** A secret that something is sealed with must still have its name after a power failure. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
