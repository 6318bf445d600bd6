import { type SegmentFiles, systemFiles } from "../src/segment-files.ts";

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

/** The file system of a test: what it is told to do wrong, and how often it was asked. */
export class FaultyFiles implements SegmentFiles {
  /** The next writes take at most this many bytes each. */
  shortBytes = Number.POSITIVE_INFINITY;
  /** So many bytes are taken; then writes fail. */
  room = Number.POSITIVE_INFINITY;
  failTruncate = false;
  failSync = false;
  failCreate = false;
  syncMs = 0;
  writes = 0;
  syncs = 0;
  /** How many bytes of all segments are synced. */
  synced = 0;
  /** Folders whose names are. */
  readonly syncedFolders: string[] = [];
  #written = 0;

  create(path: string): number {
    if (this.failCreate) throw systemError("EMFILE");
    return systemFiles.create(path);
  }

  write(fd: number, bytes: Buffer, offset: number, length: number): number {
    this.writes += 1;
    const taken = Math.min(length, this.shortBytes, this.room);
    if (taken <= 0) throw systemError("ENOSPC");
    this.room -= taken;
    this.#written += taken;
    return systemFiles.write(fd, bytes, offset, taken);
  }

  sync(fd: number, done: (error: Error | null) => void): void {
    this.syncs += 1;
    const before = this.#written;
    setTimeout(() => {
      if (this.failSync) return done(systemError("EIO"));
      systemFiles.sync(fd, (error) => {
        if (error === null) this.synced = before;
        done(error);
      });
    }, this.syncMs);
  }

  truncate(fd: number, length: number): void {
    if (this.failTruncate) throw systemError("EIO");
    systemFiles.truncate(fd, length);
  }

  close(fd: number): void {
    systemFiles.close(fd);
  }

  syncDirectory(path: string): void {
    this.syncedFolders.push(path);
    systemFiles.syncDirectory(path);
  }
}
