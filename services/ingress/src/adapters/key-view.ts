import type { policy } from "@weir/contracts";
import { type AttributeTable, attributeTable } from "@weir/rules";
import { type AttributeBounds, type Grant, grantOf } from "../domain/grant.ts";
import { attributeOf, keyOf } from "./wire-rules.ts";

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

/** All keys as pushed, each with its rights worked out: what requests are let in by. */
export class KeyView {
  readonly #byHash = new Map<string, Grant>();
  readonly #hashById = new Map<string, string>();
  readonly #attributes = new Map<string, AttributeTable<AttributeBounds>>();

  find(hash: string): Grant | undefined {
    return this.#byHash.get(hash);
  }

  put(pushed: policy.KeyView): void {
    this.remove(pushed.keyId);
    const hash = hex(pushed.hash);
    this.#byHash.set(hash, grantOf(keyOf(pushed), this.#attributes.get(pushed.workspaceId)));
    this.#hashById.set(pushed.keyId, hash);
  }

  remove(keyId: string): void {
    const hash = this.#hashById.get(keyId);
    if (hash !== undefined) this.#byHash.delete(hash);
    this.#hashById.delete(keyId);
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
