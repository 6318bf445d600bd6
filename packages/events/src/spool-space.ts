import { statSync } from "node:fs";
import { join } from "node:path";
import { listSegments } from "./epoch-directory.ts";

/** The bytes of segments that do not grow any more, until the relay has deleted them. */
export class SpoolSpace {
  readonly #folders = new Map<string, Map<string, number>>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** A segment of which we know how large it is for good. */
  add(folder: string, name: string, bytes: number): void {
    let segments = this.#folders.get(folder);
    if (segments === undefined) {
      segments = new Map();
      this.#folders.set(folder, segments);
    }
    segments.set(name, bytes);
    this.#bytes += bytes;
  }

  /** All segments of a dead epoch. */
  addFolder(folder: string): void {
    for (const { name } of listSegments(folder)) {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false });
      if (stat !== undefined) this.add(folder, name, stat.size);
    }
  }

  /** Looks for what was deleted meanwhile: one readdir for a folder that still has some. */
  rescan(): void {
    for (const [folder, segments] of this.#folders) {
      const there = new Set(listSegments(folder).map(({ name }) => name));
      for (const [name, bytes] of segments) {
        if (there.has(name)) continue;
        segments.delete(name);
        this.#bytes -= bytes;
      }
      if (segments.size === 0) this.#folders.delete(folder);
    }
  }
}
