import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * AES-256-GCM (NIST SP 800-38D) under a key per request, derived (HKDF-SHA256, RFC 5869) from the root secret and what the request was: no
 * nonce is ever used twice for one key, and nothing that is kept for one can be passed off as another's.
 */
export class AnswerCipher {
  readonly #root: Uint8Array;

  constructor(root: Uint8Array) {
    this.#root = root;
  }

  #key(workspaceId: string, context: Uint8Array): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#root, context, `weir idempotency ${workspaceId}`, 32));
  }

  /** @param context what it belongs to */
  seal(workspaceId: string, context: Uint8Array, text: Uint8Array): Uint8Array<ArrayBuffer> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key(workspaceId, context), nonce);
    const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    return new Uint8Array(sealed);
  }

  /** @returns undefined where it was sealed under another secret, or is not what was sealed */
  open(workspaceId: string, context: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const cipher = createDecipheriv(CIPHER, this.#key(workspaceId, context), sealed.subarray(0, NONCE_BYTES));
    cipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      return Buffer.concat([cipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)), cipher.final()]);
    } catch {
      // All that node says of it is that it does not fit.
      return undefined;
    }
  }
}
