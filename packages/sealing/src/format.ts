import { createHmac, createSecretKey, diffieHellman, hkdfSync, type KeyObject } from "node:crypto";
import { KEY_ID_BYTES, PUBLIC_KEY_BYTES } from "./x25519.ts";

/*
 * A sealed payload:
 *
 *    0 u8  version (2)
 *    1 8   id of the recipient's key
 *    9 32  the sender's ephemeral public key
 *   41 12  nonce
 *   53 48  whose it is: a digest of 32 bytes, encrypted, with its tag
 *  101     ciphertext, then a tag of 16 bytes
 *
 * X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM. As in RFC 9180 both public keys go into the derivation, so a head that was
 * changed gives another key; what the payload belongs to is associated data.
 *
 * What X25519 gives is a content key, the same for all that was sealed with an ephemeral key. Each payload has a key of its own, HMAC-SHA256 of
 * its nonce under the content key, and so has the name of its subject: who is given a payload's key can open that payload and nothing else, and the
 * sealed bytes never have to change. Version 1 had no subject and encrypted with the content key.
 */
export const VERSION = 2;
export const VERSION_WITHOUT_SUBJECT = 1;
export const CIPHER = "aes-256-gcm";
export const KEY_ID_AT = 1;
export const EPHEMERAL_AT = KEY_ID_AT + KEY_ID_BYTES;
export const NONCE_AT = EPHEMERAL_AT + PUBLIC_KEY_BYTES;
export const NONCE_BYTES = 12;
/** Where the ciphertext of version 1 begins. */
export const HEAD_BYTES = NONCE_AT + NONCE_BYTES;
export const TAG_BYTES = 16;
export const KEY_BYTES = 32;
/** Of a subject's digest. */
export const SUBJECT_BYTES = 32;
export const SEALED_SUBJECT_BYTES = SUBJECT_BYTES + TAG_BYTES;
/** Where the ciphertext of version 2 begins. */
export const TEXT_AT = HEAD_BYTES + SEALED_SUBJECT_BYTES;

const LABELS = {
  [VERSION_WITHOUT_SUBJECT]: Buffer.from("weir sealed payload 1"),
  [VERSION]: Buffer.from("weir sealed payload 2"),
};

export type Version = keyof typeof LABELS;

/** @throws Error where the other side's key is a point that gives no secret */
export function contentKey(
  version: Version,
  privateKey: KeyObject,
  publicKey: KeyObject,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
): KeyObject {
  const secret = diffieHellman({ privateKey, publicKey });
  const info = Buffer.concat([LABELS[version], ephemeral, recipient]);
  return createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", info, KEY_BYTES)));
}

export const payloadKey = (content: KeyObject, nonce: Uint8Array): Buffer =>
  createHmac("sha256", content).update("payload").update(nonce).digest();

export const subjectKey = (content: KeyObject, nonce: Uint8Array): Buffer =>
  createHmac("sha256", content).update("subject").update(nonce).digest();
