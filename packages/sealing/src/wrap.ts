import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { CIPHER, KEY_BYTES, NONCE_BYTES, TAG_BYTES } from "./format.ts";
import { SealError } from "./open.ts";

/** What wrap() adds to a secret. */
const WRAP_BYTES = NONCE_BYTES + TAG_BYTES;
/** Of a wrapped key of 32 bytes. */
export const WRAPPED_KEY_BYTES = KEY_BYTES + WRAP_BYTES;

/** A secret under a key of 32 bytes: nonce | AES-256-GCM | tag. @param use must be given again: what was wrapped for one thing is no other */
export function wrap(secret: Uint8Array, key: Uint8Array, use: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(use));
  return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

/** @throws SealError where it was not wrapped under this key for this use */
export function unwrap(wrapped: Uint8Array, key: Uint8Array, use: string): Buffer {
  const end = wrapped.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv(CIPHER, key, wrapped.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(use));
    decipher.setAuthTag(wrapped.subarray(end));
    return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, end)), decipher.final()]);
  } catch {
    // The cipher knows no more than that it does not fit.
    throw new SealError("unknown-key", "This was wrapped under another key.");
  }
}
