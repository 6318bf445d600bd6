import { createDecipheriv, type KeyObject } from "node:crypto";
import { CIPHER, contentKey, EPHEMERAL_AT, HEAD_BYTES, KEY_ID_AT, NONCE_AT, TAG_BYTES, VERSION } from "./format.ts";
import { importPublicKey, keyIdOf, publicKeyOf } from "./x25519.ts";

/** Why sealed bytes do not open. Its message tells no more than that. */
export class SealError extends Error {
  override readonly name = "SealError";
  /** `unknown-key`: sealed to another key than was given. `damaged`: no bytes of ours, changed ones, or they belong to something else. */
  readonly kind: "unknown-key" | "damaged";

  constructor(kind: SealError["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * What was sealed.
 * @param belongsTo as it was when they were sealed
 * @throws SealError
 */
export function openSealed(sealed: Uint8Array, belongsTo: string, privateKey: KeyObject): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== VERSION) {
    throw new SealError("damaged", "These bytes are no sealed payload that this version knows.");
  }
  const recipient = publicKeyOf(privateKey);
  const keyId = bytes.subarray(KEY_ID_AT, EPHEMERAL_AT);
  const ownId = keyIdOf(recipient);
  if (!keyId.equals(ownId)) {
    const [wanted, own] = [keyId.toString("hex"), ownId.toString("hex")];
    throw new SealError("unknown-key", `This payload is sealed to the key ${wanted}; the one that is here is ${own}.`);
  }
  try {
    const ephemeral = bytes.subarray(EPHEMERAL_AT, NONCE_AT);
    const key = contentKey(privateKey, importPublicKey(ephemeral), ephemeral, recipient);
    const nonce = bytes.subarray(NONCE_AT, HEAD_BYTES);
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(belongsTo));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
    const plain = decipher.update(bytes.subarray(HEAD_BYTES, bytes.length - TAG_BYTES));
    decipher.final();
    return plain;
  } catch {
    // The cipher knows no more than that it does not fit.
    throw new SealError("damaged", "This payload was changed, or it belongs to another request.");
  }
}
