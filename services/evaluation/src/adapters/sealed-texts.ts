import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";

/*
 * A sealed text: version (1 byte, 1), nonce (12), AES-256-GCM ciphertext, tag (16). What it belongs to is associated data, so that none can be put in
 * another's place. Each dataset has a key of its own, sealed the same way under the service's; when that row is gone, nobody can open its texts.
 */
const CIPHER = "aes-256-gcm";
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES;

export interface TextKey {
  seal(text: string, belongsTo: string): Buffer;
  /** @throws Error where it was changed, or belongs to something else */
  open(sealed: Uint8Array, belongsTo: string): string;
}

export interface TextKeys {
  /** A new dataset's key, and how it is kept. */
  make(belongsTo: string): Buffer;
  /** @throws Error where it was sealed by another service's key */
  open(sealed: Uint8Array, belongsTo: string): TextKey;
  /** A keyed hash, as hex: equal texts are told by it, and nobody guesses them without the key. */
  keyed(name: string): string;
}

/** @param secret of the service; at least 32 random bytes, or as much in text */
export function textKeys(secret: Uint8Array): TextKeys {
  const derived = (purpose: string): Buffer =>
    Buffer.from(hkdfSync("sha256", secret, "", `weir evaluation ${purpose}`, 32));
  const outer = derived("dataset keys");
  const names = derived("contents");
  return {
    make: (belongsTo) => sealed(outer, randomBytes(32), belongsTo),
    open(bytes, belongsTo) {
      const key = opened(outer, bytes, belongsTo);
      return {
        seal: (text, of) => sealed(key, Buffer.from(text), of),
        open: (inner, of) => opened(key, inner, of).toString(),
      };
    },
    keyed: (name) => createHmac("sha256", names).update(name).digest("hex"),
  };
}

// A key seals one dataset: random nonces stay far below the 2^32 of SP 800-38D, 8.3.
function sealed(key: Buffer, plain: Uint8Array, belongsTo: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(belongsTo));
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function opened(key: Buffer, bytes: Uint8Array, belongsTo: string): Buffer {
  if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== VERSION) throw new Error("these bytes are no sealed text");
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(1, HEAD_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(belongsTo));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES, bytes.length - TAG_BYTES)), decipher.final()]);
  } catch {
    // The cipher knows no more than that it does not fit.
    throw new Error("a sealed text was changed, or was sealed under another key (evaluation.seal_key)");
  }
}
