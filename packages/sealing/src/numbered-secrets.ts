import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { keptSecret, readSecret, syncFolder } from "./kept-secret.ts";

/** Secrets in files of one folder, by numbers from 1. Later ones have higher numbers. Several processes may share the folder. */
export interface NumberedSecrets {
  /** Those that are there, ascending. */
  numbers(): number[];
  read(number: number): Buffer | undefined;
  /** Made where there is none of this number: of several that make it at once, all get the same. */
  make(number: number, make: () => Uint8Array | string): Buffer;
  /**
   * Overwrites and removes it, and resolves when the folder says so on disk, too. Whether a disk or a file system still has an older copy of the blocks
   * is not known here.
   */
  destroy(number: number): void;
}

/** @param first where number 1 is, if not in the folder */
export function numberedSecrets(folder: string, first?: string): NumberedSecrets {
  const pathOf = (number: number): string =>
    number === 1 && first !== undefined ? first : join(folder, `${number}.key`);
  return {
    numbers() {
      let names: string[] = [];
      try {
        names = readdirSync(folder);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
      const found = names.flatMap((name) => (/^[1-9]\d{0,14}\.key$/.test(name) ? [Number.parseInt(name, 10)] : []));
      if (first !== undefined && readSecret(first) !== undefined) found.push(1);
      return found.sort((a, b) => a - b);
    },
    read: (number) => readSecret(pathOf(number)),
    make: (number, make) => keptSecret(pathOf(number), make),
    destroy(number) {
      const path = pathOf(number);
      let descriptor: number;
      try {
        descriptor = openSync(path, "r+");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        return;
      }
      try {
        writeSync(descriptor, randomBytes(statSync(path).size));
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      rmSync(path, { force: true });
      syncFolder(join(path, ".."));
    },
  };
}
