import { closeSync, constants, fdatasync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";

/** What the spool asks of a file system; tests inject faults here. All but `sync` block. */
export interface SegmentFiles {
  /** Makes a file that is not there yet. Throws EEXIST where it is. */
  create(path: string): number;
  /** Appends. @returns how many bytes it took, which may be fewer */
  write(fd: number, bytes: Buffer, offset: number, length: number): number;
  /** MUST NOT call back before everything written so far would survive a power loss. */
  sync(fd: number, done: (error: Error | null) => void): void;
  truncate(fd: number, length: number): void;
  close(fd: number): void;
  /** Makes the names in a folder survive a power loss. */
  syncDirectory(path: string): void;
}

export const systemFiles: SegmentFiles = {
  create: (path) =>
    openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL, 0o600),
  write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
  sync: (fd, done) => fdatasync(fd, done),
  truncate: (fd, length) => ftruncateSync(fd, length),
  close: (fd) => closeSync(fd),
  syncDirectory(path) {
    const fd = openSync(path, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
};
