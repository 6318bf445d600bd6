import { createSecretKey, diffieHellman, hkdfSync, type KeyObject } from "node:crypto";
import { KEY_ID_BYTES, PUBLIC_KEY_BYTES } from "./x25519.ts";

/*
 * A sealed payload:
 *
 *    0 u8  version (1)
 *    1 8   id of the recipient's key
 *    9 32  the sender's ephemeral public key
 *   41 12  nonce
 *   53     ciphertext, then a tag of 16 bytes
 *
 * X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM. As in RFC 9180 both public keys go into the derivation, so a head that was
 * changed gives another key; what the payload belongs to is associated data.
 */
export const VERSION = 1;
export const CIPHER = "aes-256-gcm";
export const KEY_ID_AT = 1;
export const EPHEMERAL_AT = KEY_ID_AT + KEY_ID_BYTES;
export const NONCE_AT = EPHEMERAL_AT + PUBLIC_KEY_BYTES;
export const NONCE_BYTES = 12;
export const HEAD_BYTES = NONCE_AT + NONCE_BYTES;
export const TAG_BYTES = 16;

const LABEL = Buffer.from("weir sealed payload 1");

/** @throws Error where the other side's key is a point that gives no secret */
export function contentKey(
  privateKey: KeyObject,
  publicKey: KeyObject,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
): KeyObject {
  const secret = diffieHellman({ privateKey, publicKey });
  const info = Buffer.concat([LABEL, ephemeral, recipient]);
  return createSecretKey(Buffer.from(hkdfSync("sha256", secret, "", info, 32)));
}
