import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isSystemError } from "./system-error.ts";

/*
 * <spool>/<instance>-<worker>/<epoch>/
 *    <first number>.seg   frames; the last one is being written, or was
 *    epoch.json           which epoch of this producer it is
 *    lock.<n>             held by the process that writes it, later by the one that recovers it
 *    settled              all outcomes up to this number are settled (only where settlements are told)
 *    resolves-<producer>  it holds outcomes of that epoch's intents, and must stay until that one is recovered
 *    carry                open intents of segments that are deleted already; written by the relay
 *    sealed               its last number: nothing will be written to it any more
 *    recovered            nothing of it is open: it may be deleted once it is confirmed
 * All but `carry` are written by the process that holds the lock. Each is replaced as a whole.
 */

/** Where an epoch lies, and whose it is. */
export interface EpochPlace {
  readonly path: string;
  readonly producer: string;
  /** "<instance>-<worker>": epochs of one follow each other. */
  readonly line: string;
}

export interface SegmentFile {
  readonly first: number;
  readonly name: string;
}

export interface EpochMeta {
  /** Counts the epochs of a line. */
  readonly ordinal: number;
  /** Whether `settled` decides what may be deleted. */
  readonly settlements: boolean;
}

const EPOCH = /^[0-9a-f]{16}$/;
const LINE = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})-(\d{1,4})$/;
const SEGMENT = /^(\d{15})(?:\.(\d{1,6}))?\.seg$/;

/** @throws RangeError for an instance that would not be a file name */
export function lineOf(instance: string, worker: number): string {
  const line = `${instance}-${worker}`;
  if (!LINE.test(line)) throw new RangeError(`the instance must be letters, digits, "_", "." and "-": ${instance}`);
  return line;
}

export function placeOf(directory: string, line: string, epoch: string): EpochPlace {
  const [, instance = "", worker = ""] = LINE.exec(line) ?? [];
  return { path: join(directory, line, epoch), producer: `${instance}.${worker}.${epoch}`, line };
}

/** Every epoch below the spool directory, whatever its state. */
export function listEpochs(directory: string): EpochPlace[] {
  const lines = namesIn(directory).filter((name) => LINE.test(name));
  return lines.flatMap((line) =>
    namesIn(join(directory, line))
      .filter((name) => EPOCH.test(name))
      .map((epoch) => placeOf(directory, line, epoch)),
  );
}

/**
 * @param again 0, or how many segments with this first number there are already: what could not be synced is written once more, to another
 * file
 */
export const segmentName = (first: number, again: number): string =>
  `${String(first).padStart(15, "0")}${again === 0 ? "" : `.${again}`}.seg`;

/** In the order of writing. */
export function listSegments(path: string): SegmentFile[] {
  const found = namesIn(path).flatMap((name) => {
    const match = SEGMENT.exec(name);
    return match === null ? [] : [{ first: Number(match[1]), again: Number(match[2] ?? 0), name }];
  });
  return found.sort((a, b) => a.first - b.first || a.again - b.again);
}

/** Nothing, where there is no such folder. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isSystemError(error, "ENOENT") || isSystemError(error, "ENOTDIR")) return [];
    throw error;
  }
}

/** @returns undefined where there is no such file */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

export const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

/**
 * The file has the old content or the new, whatever is killed when.
 * @param synced and after a power loss, too; takes milliseconds
 */
function replaceFile(path: string, content: Uint8Array | string, synced = true): void {
  const draft = `${path}.new`;
  const fd = openSync(draft, "w", 0o600);
  try {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    if (synced) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, path);
}

export function readMeta(place: EpochPlace): EpochMeta {
  const read: unknown = parsed(readIfThere(join(place.path, "epoch.json")));
  const { ordinal, settlements } = typeof read === "object" && read !== null ? (read as Partial<EpochMeta>) : {};
  return { ordinal: typeof ordinal === "number" ? ordinal : 0, settlements: settlements === true };
}

export const writeMeta = (path: string, meta: EpochMeta): void =>
  replaceFile(join(path, "epoch.json"), JSON.stringify(meta));

/** The last number of an epoch that nobody writes any more; undefined: somebody may, or it was not recovered yet. */
export const readSealed = (place: EpochPlace): number | undefined => readNumber(join(place.path, "sealed"));
export const writeSealed = (place: EpochPlace, lastNumber: number): void =>
  replaceFile(join(place.path, "sealed"), String(lastNumber));

export const readSettled = (place: EpochPlace): number => readNumber(join(place.path, "settled")) ?? 0;
/** Not synced: it is written all the time, and settling once more has no effect. */
export const writeSettled = (place: EpochPlace, number: number): void =>
  replaceFile(join(place.path, "settled"), String(number), false);

export const isRecovered = (place: EpochPlace): boolean => isThere(join(place.path, "recovered"));
export const writeRecovered = (place: EpochPlace): void => replaceFile(join(place.path, "recovered"), "");

const RESOLVES = "resolves-";
export const writeResolves = (place: EpochPlace, producer: string): void =>
  replaceFile(join(place.path, RESOLVES + producer), "");
/** The epochs some of whose intents are answered here. */
export const resolvedBy = (place: EpochPlace): string[] =>
  namesIn(place.path)
    .filter((name) => name.startsWith(RESOLVES) && !name.endsWith(".new"))
    .map((name) => name.slice(RESOLVES.length));

/** Frames. */
export const readCarry = (place: EpochPlace): Buffer => readIfThere(join(place.path, "carry")) ?? Buffer.alloc(0);
export const writeCarry = (place: EpochPlace, frames: Uint8Array): void =>
  replaceFile(join(place.path, "carry"), frames);

function readNumber(path: string): number | undefined {
  const text = readIfThere(path)?.toString("latin1");
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function parsed(bytes: Buffer | undefined): unknown {
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    // Written before a power loss and never synced: as if it was not there.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
