import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Secret } from "@weir/kernel";

/** Everything the standalone keeps: spool, Postgres, keys, tokens. One process at a time. */
export interface DataFolder extends Disposable {
  readonly path: string;
}

/** What an operator can mend: shown without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/**
 * Makes the folder, readable for its owner only, and locks it.
 * @throws StartError when another process has it or it cannot be written
 */
export function openDataFolder(path: string): DataFolder {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (error) {
    throw new StartError(`the data folder ${path} cannot be made: ${messageOf(error)}. Set WEIR_DATA_DIR to another.`);
  }
  const lock = takeLock(path);
  return { path, [Symbol.dispose]: () => lock.close() };
}

/** Node has no flock; SQLite takes a lock of the kernel, which ends with its process, however that ends. */
function takeLock(path: string): DatabaseSync {
  const file = join(path, "lock");
  try {
    const lock = new DatabaseSync(file);
    lock.exec("pragma locking_mode = exclusive; begin exclusive");
    return lock;
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === 5) {
      throw new StartError(
        `another Weir runs on the data folder ${path}. Stop it, or set WEIR_DATA_DIR to another folder.`,
      );
    }
    throw new StartError(`the data folder ${path} cannot be locked: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A token that lives in a file only its owner can read; made where there is none yet. */
export function storedToken(folder: DataFolder, name: string): Secret {
  const file = join(folder.path, name);
  try {
    const token = readFileSync(file, "utf8").trim();
    if (token !== "") return new Secret(token);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  const token = randomBytes(24).toString("base64url");
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return new Secret(token);
}
