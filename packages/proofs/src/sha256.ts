/**
 * SHA-256 (FIPS 180-4) as the caller's platform has it, so that this package runs wherever a verifier does:
 * `(bytes) => createHash("sha256").update(bytes).digest()` under Node. Synchronous: a tree is a million small hashes.
 * Returns 32 bytes.
 */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

export const HASH_BYTES = 32;
