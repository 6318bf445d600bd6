import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import {
  type EpochPlace,
  isRecovered,
  listEpochs,
  listSegments,
  readCarry,
  readMeta,
  readSealed,
  readSettled,
  resolvedBy,
  writeSealed,
} from "./epoch-directory.ts";
import { FRAME_KIND, type Frame } from "./frame.ts";
import { decodeFrames, findFrame } from "./frames.ts";
import { type Lock, tryLock } from "./lock.ts";
import { isSystemError } from "./system-error.ts";

/** An intent without an outcome. */
export interface OpenIntent {
  readonly number: number;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

export interface UnsettledOutcome {
  readonly number: number;
  readonly intentNumber: number;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

/** An epoch whose process died, or that was closed with something open. */
export interface DeadEpoch {
  readonly producer: string;
  readonly lastNumber: number;
  /** Intents without an outcome, by number. */
  readonly open: readonly OpenIntent[];
  /** Outcomes that were not settled, in their order; read from disk as they are asked for. Empty without `settlements`. */
  unsettled(): Iterable<UnsettledOutcome>;
}

export interface ClaimedEpoch {
  readonly place: EpochPlace;
  readonly epoch: DeadEpoch;
  readonly lock: Lock;
}

/**
 * Takes every epoch below the spool directory that nobody holds and that has something left to recover: cuts off its torn tail, writes down its
 * last number, and finds what is open. The caller holds the directory's own lock, so that one process at a time looks.
 */
export async function claimDeadEpochs(directory: string): Promise<ClaimedEpoch[]> {
  const claimed: { place: EpochPlace; lock: Lock; lastNumber: number; open: Map<number, OpenIntent> }[] = [];
  for (const place of listEpochs(directory)) {
    if (isRecovered(place)) continue;
    const lock = await lockOf(place);
    if (lock === undefined) continue;
    // Until now another process may have been at it.
    if (isRecovered(place)) lock.release();
    else claimed.push({ place, lock, ...sealEpoch(place) });
  }
  if (claimed.some(({ open }) => open.size > 0)) {
    const answered = answeredElsewhere(directory);
    for (const { place, open } of claimed) for (const number of answered.get(place.producer) ?? []) open.delete(number);
  }
  return claimed.map(({ place, lock, lastNumber, open }) => ({
    place,
    lock,
    epoch: {
      producer: place.producer,
      lastNumber,
      open: [...open.values()].sort((a, b) => a.number - b.number),
      unsettled: () => unsettledOf(place),
    },
  }));
}

async function lockOf(place: EpochPlace): Promise<Lock | undefined> {
  try {
    return await tryLock(place.path);
  } catch (error) {
    // The relay has just removed it: it was confirmed, and recovered by another process.
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Of an epoch that this process has locked. A relay may be deleting what is confirmed, from its beginning on. */
function sealEpoch(place: EpochPlace): { lastNumber: number; open: Map<number, OpenIntent> } {
  cutTornTail(place);
  let found = openIn(place);
  while (found === undefined) found = openIn(place);
  const sealed = readSealed(place);
  if (sealed === undefined) writeSealed(place, found.lastNumber);
  return { lastNumber: sealed ?? found.lastNumber, open: found.open };
}

/** @returns undefined when a segment was deleted before it was read: its outcomes are then unknown, while their intents may have been read */
function openIn(place: EpochPlace): { lastNumber: number; open: Map<number, OpenIntent> } | undefined {
  const open = new Map<number, OpenIntent>();
  const answeredEarlier = new Set<number>();
  let lastNumber = 0;
  try {
    for (const { kind, number, ref, origin, header, payload } of framesOf(place)) {
      lastNumber = number;
      if (kind === FRAME_KIND.intent) {
        // Copies: views would keep the whole segment in memory.
        open.set(number, { number, header: Buffer.from(header), payload: Buffer.from(payload) });
      } else if (kind === FRAME_KIND.outcome && origin === "" && !open.delete(ref)) {
        answeredEarlier.add(ref);
      }
    }
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
  // Last, as the relay writes it before it deletes: what was gone already is in it.
  for (const { kind, number, header, payload } of decodeFrames(readCarry(place)).frames) {
    lastNumber = Math.max(lastNumber, number);
    if (kind === FRAME_KIND.intent && !answeredEarlier.has(number)) open.set(number, { number, header, payload });
  }
  return { lastNumber, open };
}

/** What was being written when the process died was acknowledged to nobody. Damage with whole frames behind it stays: it is evidence. */
function cutTornTail(place: EpochPlace): void {
  const last = listSegments(place.path).at(-1);
  if (last === undefined) return;
  const path = join(place.path, last.name);
  const bytes = readFileSync(path);
  let whole = 0;
  for (let offset = 0; offset < bytes.length; ) {
    const { what, length } = findFrame(bytes, offset, bytes.length, true);
    offset += length;
    if (what === "frame") whole = offset;
  }
  if (whole < bytes.length) truncateSync(path, whole);
}

/**
 * The frames on disk above `after`, once each, in the order of their numbers; damage is passed over. One segment is in memory at a time.
 * @throws ENOENT when a segment that has some is deleted meanwhile
 */
export function* framesOf(place: EpochPlace, after = 0): Generator<Frame> {
  let last = after;
  const segments = listSegments(place.path);
  for (const [index, { name }] of segments.entries()) {
    const next = segments[index + 1];
    if (next !== undefined && next.first <= after + 1) continue;
    for (const frame of decodeFrames(readFileSync(join(place.path, name))).frames) {
      if (frame.kind === FRAME_KIND.quarantined || frame.number <= last) continue;
      last = frame.number;
      yield frame;
    }
  }
}

function* unsettledOf(place: EpochPlace): Generator<UnsettledOutcome> {
  if (!readMeta(place).settlements) return;
  const settled = readSettled(place);
  // Not deleted meanwhile: a segment with one of these stays.
  for (const { kind, number, ref, origin, header, payload } of framesOf(place, settled)) {
    if (kind !== FRAME_KIND.outcome || origin !== "") continue;
    yield { number, intentNumber: ref, header, payload };
  }
}

/** Intents of dead epochs whose outcome a later process had already written, before it died in its turn. */
function answeredElsewhere(directory: string): Map<string, number[]> {
  const answered = new Map<string, number[]>();
  for (const place of listEpochs(directory)) {
    if (resolvedBy(place).length === 0) continue;
    for (const { kind, ref, origin } of framesOf(place)) {
      if (kind !== FRAME_KIND.outcome || origin === "") continue;
      const numbers = answered.get(origin) ?? [];
      numbers.push(ref);
      answered.set(origin, numbers);
    }
  }
  return answered;
}
