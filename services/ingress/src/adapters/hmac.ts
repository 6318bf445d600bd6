import { createHmac, hash, hkdfSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { keptSecret } from "@weir/sealing";

const BLOCK = 64;

/** A key of HMAC-SHA256 (RFC 2104) with its two padded blocks made ready. */
export interface HmacKey {
  readonly key: Buffer;
  readonly inner: Buffer;
  readonly outer: Buffer;
}

function prepared(key: Buffer): HmacKey {
  const inner = Buffer.alloc(BLOCK, 0x36);
  const outer = Buffer.alloc(BLOCK, 0x5c);
  for (let at = 0; at < key.length; at += 1) {
    inner[at] = (inner[at] ?? 0) ^ (key[at] ?? 0);
    outer[at] = (outer[at] ?? 0) ^ (key[at] ?? 0);
  }
  return { key, inner, outer };
}

/** Two one-shot hashes: half the time of createHmac for what a request holds. */
export function hmac(key: HmacKey, bytes: Uint8Array): Uint8Array {
  const first = hash("sha256", Buffer.concat([key.inner, bytes]), "buffer");
  return hash("sha256", Buffer.concat([key.outer, first]), "buffer");
}

export function hmacStream(key: HmacKey): { update(bytes: Uint8Array): void; digest(): Uint8Array } {
  const running = createHmac("sha256", key.key);
  return {
    update: (bytes) => void running.update(bytes),
    digest: () => running.digest(),
  };
}

/** One key per workspace, derived from a root secret (HKDF-SHA256, RFC 5869), so that equal texts of two workspaces cannot be matched. */
export class HmacKeys {
  readonly #root: Uint8Array;
  readonly #keys = new Map<string, HmacKey>();

  constructor(root: Uint8Array) {
    this.#root = root;
  }

  of(workspaceId: string): HmacKey {
    let key = this.#keys.get(workspaceId);
    if (key === undefined) {
      key = prepared(Buffer.from(hkdfSync("sha256", this.#root, "", `weir audit hmac ${workspaceId}`, 32)));
      this.#keys.set(workspaceId, key);
    }
    return key;
  }
}

/** The root secret of this data folder, made on first use. Instances whose records are to be comparable are given one by configuration. */
export const rootSecret = (dataDir: string): Buffer =>
  keptSecret(join(dataDir, "audit-hmac.key"), () => randomBytes(32));
