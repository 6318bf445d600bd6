import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type EpochMeta, type EpochPlace, namesIn, placeOf, writeMeta } from "./epoch-directory.ts";
import { type Lock, tryLock } from "./lock.ts";

const DRAFT = ".new-";

/**
 * Makes a new epoch, locked before it can be seen: an epoch without a living lock is a dead one. The caller holds the lock on opening.
 */
export async function createEpoch(
  directory: string,
  line: string,
  meta: EpochMeta,
): Promise<{ place: EpochPlace; lock: Lock }> {
  const folder = join(directory, line);
  // Of processes that died in here.
  for (const name of namesIn(folder)) {
    if (name.startsWith(DRAFT)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  const place = placeOf(directory, line, randomBytes(8).toString("hex"));
  const draft = join(folder, `${DRAFT}${randomBytes(8).toString("hex")}`);
  mkdirSync(draft, { mode: 0o700 });
  writeMeta(draft, meta);
  const lock = await tryLock(draft);
  if (lock === undefined) throw new Error(`the new folder ${draft} is locked by somebody`);
  renameSync(draft, place.path);
  return { place, lock };
}
