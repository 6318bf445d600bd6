/**
 * What a consumer that derives something could not work with, put aside so that nobody behind it waits. It holds records as they came, but
 * for their payloads: what people and models said is in no dead letter. Audit has none: what it cannot read is a leaf of its log.
 */
import { createHash } from "node:crypto";
import type { Batch } from "./bus.ts";
import { decodeFrames, encodeFrames } from "./frames.ts";

export interface DeadLetter extends Batch {
  /** The same for the same frames of the same consumer: what fails again is no second letter. */
  readonly id: string;
  readonly consumer: string;
  /** Why, in words that quote nothing of it. */
  readonly reason: string;
  readonly atMs: number;
}

/** Kept on disk, for 30 days or until there are too many: then the oldest go first. */
export interface DeadLetters extends AsyncDisposable {
  /** Resolves when they are kept. MUST have no second effect for a letter that is there. Rejects while the store is away. */
  put(letters: readonly DeadLetter[]): Promise<void>;
  /**
   * Oldest first, behind the place `after` (0: from the first).
   * @returns `next`: the place behind the last of them; undefined: there are no more
   */
  list(after: number, limit: number): Promise<{ readonly letters: DeadLetter[]; readonly next: number | undefined }>;
  get(id: string): Promise<DeadLetter | undefined>;
  /** @returns whether it was there */
  drop(id: string): Promise<boolean>;
}

export const DEAD_LETTER_AGE_MS = 30 * 86_400_000;

/** @param frames of one producer; their payloads are left out */
export function deadLetter(consumer: string, batch: Batch, reason: string, atMs: number): DeadLetter {
  const data = withoutPayloads(batch.data);
  const { producer, first, last } = batch;
  const hash = createHash("sha256").update(`${consumer} ${producer} `).update(data);
  return { id: hash.digest("hex").slice(0, 32), consumer, producer, first, last, data, reason, atMs };
}

function withoutPayloads(data: Uint8Array): Buffer {
  const { frames } = decodeFrames(data);
  return encodeFrames(
    frames.map(({ payload, payloadOmitted, ...frame }) => ({
      ...frame,
      payloadOmitted: payloadOmitted || payload.length > 0,
    })),
  );
}

/** What is told of an error whose message may quote a record. */
export function failureName(error: unknown): string {
  if (!(error instanceof Error)) return "an error";
  const code = "code" in error && typeof error.code === "string" ? ` ${error.code}` : "";
  return `${error.name}${code}`;
}
