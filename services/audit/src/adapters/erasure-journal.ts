import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { WeirError } from "@weir/kernel";
import type { JournaledErasure } from "../domain/erasure.ts";
import type { ErasureJournal } from "../ports.ts";

const FILE = "audit-erasures.jsonl";

/** Lines of JSON at the end of a file in audit's data folder, which nothing here ever shortens. */
export function erasureJournal(dataDir: string): ErasureJournal {
  const path = join(dataDir, FILE);
  return {
    add(entry) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const file = openSync(path, "a+", 0o600);
      try {
        const { size } = fstatSync(file);
        const last = Buffer.alloc(1);
        if (size > 0) readSync(file, last, 0, 1, size - 1);
        // A line that a crash cut off stays what it is.
        const separator = size > 0 && last.toString() !== "\n" ? "\n" : "";
        writeSync(file, `${separator}${JSON.stringify(entry)}\n`);
        fsyncSync(file);
        if (size === 0) syncFolder(dirname(path));
      } finally {
        closeSync(file);
      }
    },
    all() {
      let text: string;
      try {
        text = readFileSync(path, "utf8");
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw new WeirError("internal", `The journal of erasures cannot be read: look at ${FILE}.`, { cause });
      }
      return journalEntries(text);
    },
  };
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A line that is cut off was never acknowledged, and its erasure not done: it is passed over. */
export function journalEntries(text: string): JournaledErasure[] {
  return text.split("\n").flatMap((line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return [];
    }
    return isEntry(value) ? [value] : [];
  });
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const isUuid = (value: unknown): boolean => typeof value === "string" && UUID.test(value);

function isEntry(value: unknown): value is JournaledErasure {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Partial<Record<keyof JournaledErasure, unknown>>;
  return (
    isUuid(entry.id) &&
    Number.isSafeInteger(entry.atMs) &&
    Array.isArray(entry.subjects) &&
    entry.subjects.every(isUuid) &&
    [entry.workspaceId, entry.keyId, entry.reason, entry.requestedBy].every((text) => typeof text === "string")
  );
}
