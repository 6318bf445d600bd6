import type { KeyPolicy } from "../domain/key-policy.ts";
import type { Change, DirectoryState } from "../ports.ts";

/** So many changes back a watcher may resume; else it gets everything. */
const KEPT_CHANGES = 10_000;

/** More are not told to who watches anew; who followed heard of each. */
const KEPT_ENDED = 10_000;

/** All keys with their policy, as this replica knows them: what requests are decided by, without a look-up anywhere. */
export class Directory {
  #version: number | undefined;
  #keys = new Map<string, KeyPolicy>();
  #changes: Change[] = [];
  #ended = new Set<string>();
  #waiting = new Set<() => void>();

  /** Undefined until it was loaded. */
  get version(): number | undefined {
    return this.#version;
  }

  key(keyId: string): KeyPolicy | undefined {
    return this.#keys.get(keyId);
  }

  allKeys(): KeyPolicy[] {
    return [...this.#keys.values()];
  }

  /** Keys that were lately revoked together with their running requests. */
  ended(): ReadonlySet<string> {
    return this.#ended;
  }

  /** What changed after a version, ascending. Undefined: that is not known here. */
  changesSince(version: number): readonly Change[] | undefined {
    const current = this.#version;
    if (current === undefined || version > current) return undefined;
    const count = current - version;
    if (count === 0) return [];
    return count > this.#changes.length ? undefined : this.#changes.slice(-count);
  }

  /** Replaces everything. */
  load(state: DirectoryState): void {
    this.#keys = new Map(state.keys.map((key) => [key.keyId, key]));
    this.#ended = new Set(state.ended);
    this.#changes = [...state.changes];
    this.#version = state.version;
    this.#wake();
  }

  /** Applies what came after the present version. */
  apply(state: DirectoryState): void {
    if (state.changes.length === 0) return;
    const views = new Map(state.keys.map((key) => [key.keyId, key]));
    for (const { keyId } of state.changes) {
      const view = views.get(keyId);
      if (view === undefined) {
        this.#keys.delete(keyId);
      } else {
        this.#keys.set(keyId, view);
      }
    }
    for (const keyId of state.ended) this.#ended.add(keyId);
    for (const keyId of this.#ended) {
      if (this.#ended.size <= KEPT_ENDED) break;
      this.#ended.delete(keyId);
    }
    this.#changes.push(...state.changes);
    // Twice the size before it is cut: cutting copies.
    if (this.#changes.length > 2 * KEPT_CHANGES) this.#changes = this.#changes.slice(-KEPT_CHANGES);
    this.#version = state.version;
    this.#wake();
  }

  /** Calls back once, at the next change. @returns what takes it back */
  onceChanged(callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const callback of waiting) callback();
  }
}
