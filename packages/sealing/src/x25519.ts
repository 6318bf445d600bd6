import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject } from "node:crypto";

export const PUBLIC_KEY_BYTES = 32;
export const KEY_ID_BYTES = 8;

/** A new private key as text (PKCS #8, PEM), to be kept in a file. */
export const newPrivateKey = (): string =>
  generateKeyPairSync("x25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString();

/** @throws Error for a text that is no X25519 private key; it tells nothing of the text */
export function privateKeyOf(pem: string | Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // OpenSSL's errors say where in the text it stopped, which helps nobody.
    throw new Error("not a private key in PEM");
  }
  if (key.asymmetricKeyType !== "x25519") throw new Error(`not an X25519 key but ${key.asymmetricKeyType}`);
  return key;
}

/** The 32 bytes (RFC 7748) of a key's public half. */
export function publicKeyOf(key: KeyObject): Buffer {
  const { x } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  return Buffer.from(x ?? "", "base64url");
}

/** @throws Error for what are not 32 bytes */
export function importPublicKey(bytes: Uint8Array): KeyObject {
  if (bytes.length !== PUBLIC_KEY_BYTES) throw new Error(`a public key has ${PUBLIC_KEY_BYTES} bytes`);
  const x = Buffer.from(bytes).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" });
}

/** What a key is called: the first 8 bytes of SHA-256 of its public half. */
export const keyIdOf = (publicKey: Uint8Array): Buffer => hash("sha256", publicKey, "buffer").subarray(0, KEY_ID_BYTES);
