import type { policy } from "@weir/contracts";
import { type AttributeTable, attributeTable } from "@weir/rules";
import { type AttributeBounds, type Grant, grantOf } from "../domain/grant.ts";
import type { Key } from "../domain/key.ts";
import { attributeOf, keyOf } from "./wire-rules.ts";

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

/** All keys as pushed, each with its rights worked out: what requests are let in by. */
export class KeyView {
  readonly #byHash = new Map<string, Grant>();
  /** Of the present text first, then of those that the key had before. */
  readonly #hashesById = new Map<string, readonly string[]>();
  readonly #attributes = new Map<string, AttributeTable<AttributeBounds>>();

  find(hash: string): Grant | undefined {
    return this.#byHash.get(hash);
  }

  byId(keyId: string): Grant | undefined {
    const [hash] = this.#hashesById.get(keyId) ?? [];
    return hash === undefined ? undefined : this.#byHash.get(hash);
  }

  put(pushed: policy.KeyView): void {
    this.remove(pushed.keyId);
    const key = keyOf(pushed);
    const hashes = [hex(pushed.hash)];
    this.#let(hashes[0] as string, key);
    for (const { hash, expiresAtMs } of pushed.retiredSecrets) {
      // An old text is a key that expires with its overlap: no request pays for looking whether it is one.
      this.#let(hex(hash), { ...key, expiresAtMs: earlier(key.expiresAtMs, Number(expiresAtMs)) });
      hashes.push(hex(hash));
    }
    this.#hashesById.set(pushed.keyId, hashes);
  }

  #let(hash: string, key: Key): void {
    this.#byHash.set(hash, grantOf(key, this.#attributes.get(key.workspaceId)));
  }

  remove(keyId: string): void {
    for (const hash of this.#hashesById.get(keyId) ?? []) this.#byHash.delete(hash);
    this.#hashesById.delete(keyId);
  }

  /** Seldom, so all keys are looked at. */
  putWorkspace({ workspaceId, attributes }: policy.WorkspaceView): void {
    const table = attributeTable(attributes.flatMap(attributeOf));
    if (table === undefined) this.#attributes.delete(workspaceId);
    else this.#attributes.set(workspaceId, table);
    for (const [hash, { key }] of this.#byHash)
      if (key.workspaceId === workspaceId) this.#byHash.set(hash, grantOf(key, table));
  }
}

/** @param mostMs 0: never */
const earlier = (mostMs: number, untilMs: number): number => (mostMs === 0 ? untilMs : Math.min(mostMs, untilMs));
