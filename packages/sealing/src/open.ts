import { createDecipheriv, type KeyObject } from "node:crypto";
import {
  CIPHER,
  contentKey,
  EPHEMERAL_AT,
  HEAD_BYTES,
  KEY_ID_AT,
  NONCE_AT,
  payloadKey,
  subjectKey,
  TAG_BYTES,
  TEXT_AT,
  VERSION,
  type Version,
  VERSION_WITHOUT_SUBJECT,
} from "./format.ts";
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

/** What opens one payload, and whose it is. */
export interface OpenedHead {
  readonly payloadKey: Buffer;
  /** As subjectDigest made it. */
  readonly subject: Buffer;
}

/** Opens what was sealed to one key. */
export interface Opener {
  readonly keyId: Buffer;
  /**
   * What a payload can be opened with once the private key is gone. Looks at its first 101 bytes only.
   * @returns undefined for a payload of version 1, which has no key of its own
   * @throws SealError
   */
  head(sealed: Uint8Array): OpenedHead | undefined;
  /** @param belongsTo as it was when they were sealed @throws SealError */
  open(sealed: Uint8Array, belongsTo: string): Buffer;
}

/** Ephemeral keys last an hour: so many instances seal at once, and X25519 costs more than all the rest. */
const MOST_CONTENT_KEYS = 1_000;

/** The id of the key that these bytes are sealed to; undefined: they are no sealed payload. */
export function recipientOf(sealed: Uint8Array): Buffer | undefined {
  const bytes = view(sealed);
  return versionOf(bytes) === undefined ? undefined : bytes.subarray(KEY_ID_AT, EPHEMERAL_AT);
}

export function createOpener(privateKey: KeyObject): Opener {
  const recipient = publicKeyOf(privateKey);
  const ownId = keyIdOf(recipient);
  const contentKeys = new Map<string, KeyObject>();

  function checked(bytes: Buffer): Version {
    const version = versionOf(bytes);
    if (version === undefined) {
      throw new SealError("damaged", "These bytes are no sealed payload that this version knows.");
    }
    const keyId = bytes.subarray(KEY_ID_AT, EPHEMERAL_AT);
    if (!keyId.equals(ownId)) {
      const [wanted, own] = [keyId.toString("hex"), ownId.toString("hex")];
      throw new SealError(
        "unknown-key",
        `This payload is sealed to the key ${wanted}; the one that is here is ${own}.`,
      );
    }
    return version;
  }

  function contentKeyOf(bytes: Buffer, version: Version): KeyObject {
    const name = bytes.toString("latin1", 0, NONCE_AT);
    let key = contentKeys.get(name);
    if (key === undefined) {
      const ephemeral = bytes.subarray(EPHEMERAL_AT, NONCE_AT);
      try {
        key = contentKey(version, privateKey, importPublicKey(ephemeral), ephemeral, recipient);
      } catch {
        throw damaged();
      }
      // The oldest goes: a Map keeps the order in which keys came.
      if (contentKeys.size >= MOST_CONTENT_KEYS) contentKeys.delete(contentKeys.keys().next().value ?? "");
      contentKeys.set(name, key);
    }
    return key;
  }

  const headOf = (bytes: Buffer): OpenedHead => {
    const content = contentKeyOf(bytes, VERSION);
    const nonce = bytes.subarray(NONCE_AT, HEAD_BYTES);
    const sealedSubject = bytes.subarray(HEAD_BYTES, TEXT_AT);
    return {
      payloadKey: payloadKey(content, nonce),
      subject: decrypt(subjectKey(content, nonce), nonce, "", sealedSubject),
    };
  };

  return {
    keyId: ownId,
    head(sealed) {
      const bytes = view(sealed);
      return checked(bytes) === VERSION ? headOf(bytes) : undefined;
    },
    open(sealed, belongsTo) {
      const bytes = view(sealed);
      if (checked(bytes) === VERSION) return openWithKey(bytes, belongsTo, headOf(bytes).payloadKey);
      const key = contentKeyOf(bytes, VERSION_WITHOUT_SUBJECT);
      return decrypt(key, bytes.subarray(NONCE_AT, HEAD_BYTES), belongsTo, bytes.subarray(HEAD_BYTES));
    },
  };
}

/**
 * What was sealed, by the payload's own key.
 * @param belongsTo as it was when they were sealed
 * @throws SealError `damaged`
 */
export function openWithKey(sealed: Uint8Array, belongsTo: string, key: Uint8Array): Buffer {
  const bytes = view(sealed);
  if (versionOf(bytes) !== VERSION) throw damaged();
  return decrypt(key, bytes.subarray(NONCE_AT, HEAD_BYTES), belongsTo, bytes.subarray(TEXT_AT));
}

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function versionOf(bytes: Buffer): Version | undefined {
  if (bytes[0] === VERSION && bytes.length >= TEXT_AT + TAG_BYTES) return VERSION;
  if (bytes[0] === VERSION_WITHOUT_SUBJECT && bytes.length >= HEAD_BYTES + TAG_BYTES) return VERSION_WITHOUT_SUBJECT;
  return undefined;
}

const damaged = (): SealError =>
  new SealError("damaged", "This payload was changed, or it belongs to another request.");

function decrypt(key: KeyObject | Uint8Array, nonce: Buffer, belongsTo: string, sealed: Buffer): Buffer {
  try {
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(belongsTo));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
    decipher.final();
    return plain;
  } catch {
    // The cipher knows no more than that it does not fit.
    throw damaged();
  }
}
