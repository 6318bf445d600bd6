import { createCipheriv, generateKeyPairSync, type KeyObject, randomFillSync } from "node:crypto";
import {
  CIPHER,
  contentKey,
  EPHEMERAL_AT,
  HEAD_BYTES,
  KEY_ID_AT,
  NONCE_AT,
  NONCE_BYTES,
  payloadKey,
  SUBJECT_BYTES,
  subjectKey,
  TAG_BYTES,
  TEXT_AT,
  VERSION,
} from "./format.ts";
import { importPublicKey, keyIdOf, publicKeyOf } from "./x25519.ts";

export interface Sealer {
  /**
   * The bytes that only the recipient can read.
   * @param belongsTo must be given again to open them
   * @param subject whose they are: see subjectDigest
   */
  seal(plain: Uint8Array, belongsTo: string, subject: Uint8Array): Buffer;
}

/** The ephemeral key is forgotten after so long. Until then random nonces are far from the 2^32 of SP 800-38D, 8.3. */
const EPHEMERAL_MS = 3_600_000;

interface Ephemeral {
  readonly key: KeyObject;
  /** All of a head but the nonce. */
  readonly head: Buffer;
  readonly untilMs: number;
}

/**
 * Seals to one recipient. Nobody but the recipient can open what was sealed, not even the sender once its ephemeral key is forgotten.
 * @param recipient an X25519 public key, 32 bytes
 * @throws Error where it is none
 */
export function createSealer(recipient: Uint8Array, monotonicMs: () => number): Sealer {
  const publicKey = importPublicKey(recipient);
  let ephemeral = newEphemeral(publicKey, recipient, monotonicMs());
  return {
    seal(plain, belongsTo, subject) {
      if (subject.length !== SUBJECT_BYTES) throw new RangeError(`a subject has ${SUBJECT_BYTES} bytes`);
      const nowMs = monotonicMs();
      if (nowMs >= ephemeral.untilMs) ephemeral = newEphemeral(publicKey, recipient, nowMs);
      const { key, head } = ephemeral;
      const sealed = Buffer.allocUnsafe(TEXT_AT + plain.length + TAG_BYTES);
      head.copy(sealed);
      randomFillSync(sealed, NONCE_AT, NONCE_BYTES);
      const nonce = sealed.subarray(NONCE_AT, HEAD_BYTES);
      encrypt(sealed, HEAD_BYTES, subjectKey(key, nonce), nonce, NO_BYTES, subject);
      encrypt(sealed, TEXT_AT, payloadKey(key, nonce), nonce, Buffer.from(belongsTo), plain);
      return sealed;
    },
  };
}

const NO_BYTES = Buffer.alloc(0);

/** Writes ciphertext and tag at `at`. */
function encrypt(target: Buffer, at: number, key: Buffer, nonce: Buffer, aad: Buffer, plain: Uint8Array): void {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad);
  target.set(cipher.update(plain), at);
  cipher.final();
  target.set(cipher.getAuthTag(), at + plain.length);
}

function newEphemeral(publicKey: KeyObject, recipient: Uint8Array, nowMs: number): Ephemeral {
  const own = generateKeyPairSync("x25519");
  const ephemeral = publicKeyOf(own.publicKey);
  const head = Buffer.alloc(NONCE_AT);
  head[0] = VERSION;
  head.set(keyIdOf(recipient), KEY_ID_AT);
  head.set(ephemeral, EPHEMERAL_AT);
  return {
    key: contentKey(VERSION, own.privateKey, publicKey, ephemeral, recipient),
    head,
    untilMs: nowMs + EPHEMERAL_MS,
  };
}
