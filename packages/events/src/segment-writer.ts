import { join } from "node:path";
import { segmentName } from "./epoch-directory.ts";
import type { SegmentFiles } from "./segment-files.ts";
import { isSystemError } from "./system-error.ts";

export interface SegmentWriterOptions {
  readonly path: string;
  readonly files: SegmentFiles;
  readonly segmentBytes: number;
  /** A segment is left at this age, too, so that confirmed records do not stay for as long as nothing happens. */
  readonly segmentMs: number;
  readonly strict: boolean;
  readonly monotonicMs: () => number;
  /** A segment will not grow any more. */
  readonly onClosed: (name: string, bytes: number) => void;
}

interface Segment {
  readonly fd: number;
  readonly name: string;
  readonly openedMs: number;
  bytes: number;
}

/** Appends to the segments of one epoch. */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  #segment: Segment | undefined;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
  }

  /** Of the segment that is being written. */
  get bytes(): number {
    return this.#segment?.bytes ?? 0;
  }

  /**
   * Writes bytes[0, length), which begin with the frame of this number.
   * @returns how many bytes are in the file; fewer than `length` when `error` says why
   */
  append(bytes: Buffer, length: number, firstNumber: number): { written: number; error: unknown } {
    let written = 0;
    try {
      const segment = this.#segmentFor(length, firstNumber);
      while (written < length) {
        const taken = this.#options.files.write(segment.fd, bytes, written, length - written);
        if (taken <= 0) throw new Error("the file took no bytes");
        written += taken;
        segment.bytes += taken;
      }
      return { written, error: undefined };
    } catch (error) {
      return { written, error };
    }
  }

  sync(done: (error: Error | null) => void): void {
    const segment = this.#segment;
    if (segment === undefined) throw new Error("nothing was written");
    this.#options.files.sync(segment.fd, done);
  }

  /** Takes back the last `bytes`: half of a frame. Where the disk does not even do that they stay, and readers pass over them. */
  takeBack(bytes: number): void {
    const segment = this.#segment;
    if (segment === undefined || bytes === 0) return;
    try {
      this.#options.files.truncate(segment.fd, segment.bytes - bytes);
      segment.bytes -= bytes;
    } catch {
      // Of the same cause as the failed write, which is told. Nothing is missing there: the next frame has the number that follows.
    }
  }

  /** What comes next goes to another segment. */
  leave(): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#segment = undefined;
    this.#options.onClosed(segment.name, segment.bytes);
    this.#options.files.close(segment.fd);
  }

  #segmentFor(length: number, firstNumber: number): Segment {
    const { segmentBytes, segmentMs, monotonicMs } = this.#options;
    const nowMs = monotonicMs();
    const current = this.#segment;
    if (current !== undefined && current.bytes > 0) {
      const stays = current.bytes + length <= segmentBytes && nowMs - current.openedMs < segmentMs;
      if (stays) return current;
      this.leave();
    } else if (current !== undefined) {
      return current;
    }
    const { fd, name } = this.#create(firstNumber);
    this.#segment = { fd, name, openedMs: nowMs, bytes: 0 };
    if (this.#options.strict) this.#options.files.syncDirectory(this.#options.path);
    return this.#segment;
  }

  #create(firstNumber: number): { fd: number; name: string } {
    const { path, files } = this.#options;
    for (let again = 0; ; again += 1) {
      const name = segmentName(firstNumber, again);
      try {
        return { fd: files.create(join(path, name)), name };
      } catch (error) {
        if (!isSystemError(error, "EEXIST")) throw error;
      }
    }
  }
}
