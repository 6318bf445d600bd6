import type { AttributeTable } from "@weir/rules";
import type { AttributePolicy, KeyPolicy } from "../domain/key-policy.ts";
import type { Change, DirectoryState } from "../ports.ts";

/** So many changes back a watcher may resume; else it gets everything. */
const KEPT_CHANGES = 10_000;

/** More are not told to who watches anew; who followed heard of each. */
const KEPT_ENDED = 10_000;

/** All keys with their policy, as this replica knows them: what requests are decided by, without a look-up anywhere. */
export class Directory {
  #version: number | undefined;
  #keys = new Map<string, KeyPolicy>();
  #attributes = new Map<string, AttributeTable<AttributePolicy>>();
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

  /** What a workspace sets for end users and tags; undefined: nothing. */
  attributes(workspaceId: string): AttributeTable<AttributePolicy> | undefined {
    return this.#attributes.get(workspaceId);
  }

  allAttributes(): ReadonlyMap<string, AttributeTable<AttributePolicy>> {
    return this.#attributes;
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
    this.#attributes = new Map();
    this.#keys = new Map();
    this.#put(state);
    this.#ended = new Set(state.ended);
    this.#changes = [...state.changes];
    this.#version = state.version;
    this.#wake();
  }

  /** Applies what came after the present version. */
  apply(state: DirectoryState): void {
    if (state.changes.length === 0) return;
    for (const { keyId, isWorkspace } of state.changes) if (!isWorkspace) this.#keys.delete(keyId);
    this.#put(state);
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

  #put({ keys, attributes }: DirectoryState): void {
    for (const [workspaceId, table] of attributes) {
      if (table === undefined) this.#attributes.delete(workspaceId);
      else this.#attributes.set(workspaceId, table);
    }
    if (attributes.size > 0) {
      for (const key of this.#keys.values())
        if (attributes.has(key.workspaceId)) this.#keys.set(key.keyId, this.#with(key));
    }
    for (const key of keys) this.#keys.set(key.keyId, this.#with(key));
  }

  #with(key: KeyPolicy): KeyPolicy {
    const attributes = this.#attributes.get(key.workspaceId);
    return key.attributes === attributes ? key : { ...key, attributes };
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
