import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Secret, WeirError } from "@weir/kernel";
import { numberedSecrets } from "@weir/sealing";
import type { KeyGenerations } from "../ports.ts";

const FOLDER = "audit-subject-keys";
const SECRET_BYTES = 32;
const NAME_BYTES = 8;
const NO_NAME = Buffer.alloc(NAME_BYTES);
const NO_KEY = Buffer.alloc(0);

/** What a generation's secret is used for. */
export interface GenerationKeys {
  /** Over the keys of subjects. */
  readonly wrapping: Buffer;
  /** Keys the names that subjects are found by. */
  readonly lookup: Buffer;
}

export interface KeyGenerationFolder extends KeyGenerations {
  /** @returns undefined where it is not here @throws WeirError internal where it was made with a configured key that is not here */
  keys(number: number): GenerationKeys | undefined;
}

/**
 * Secrets over subjects' keys: each a file of 32 random bytes, mixed with the configured key (HKDF-SHA256, RFC 5869) where there is one. So a
 * generation is destroyed with its file, whoever still has the configured key, and who has the data folder only does not have it.
 *
 * A file: the secret, then 8 bytes that name the configured key it belongs to; zeros: none.
 * @param configured the present one first, then the one before it
 */
export function keyGenerations(dataDir: string, configured: readonly Secret[]): KeyGenerationFolder {
  const files = numberedSecrets(join(dataDir, FOLDER));
  const secrets = configured.map((secret) => Buffer.from(secret.reveal()));
  const present = secrets[0];
  const known = new Map<number, GenerationKeys>();

  const numbers = (): number[] => {
    const there = files.numbers();
    for (const number of known.keys()) if (!there.includes(number)) known.delete(number);
    return there;
  };

  /** The configured key that a file was made with. */
  const secretFor = (name: Buffer): Buffer | undefined =>
    name.equals(NO_NAME) ? NO_KEY : secrets.find((secret) => nameOf(secret).equals(name));

  const newSecret = (): Buffer =>
    Buffer.concat([randomBytes(SECRET_BYTES), present === undefined ? NO_NAME : nameOf(present)]);

  return {
    all: numbers,
    newest: () => {
      const newest = numbers().at(-1) ?? 1;
      files.make(newest, newSecret);
      return newest;
    },
    make: (number) => void files.make(number, newSecret),
    destroy(number) {
      files.destroy(number);
      known.delete(number);
    },
    isPresent(number) {
      const name = files.read(number)?.subarray(SECRET_BYTES);
      return name?.equals(present === undefined ? NO_NAME : nameOf(present)) ?? false;
    },
    keys(number) {
      let keys = known.get(number);
      if (keys !== undefined) return keys;
      const bytes = files.read(number);
      if (bytes === undefined) return undefined;
      const salt = secretFor(bytes.subarray(SECRET_BYTES));
      if (salt === undefined || bytes.length !== SECRET_BYTES + NAME_BYTES) {
        throw new WeirError(
          "internal",
          `Generation ${number} of ${FOLDER} in audit's data folder was made with another audit.payload_key: give that one as audit.payload_key_before.`,
        );
      }
      const derived = (use: string): Buffer =>
        Buffer.from(hkdfSync("sha256", bytes.subarray(0, SECRET_BYTES), salt, `weir audit subjects ${use}`, 32));
      keys = { wrapping: derived("wrapping"), lookup: derived("lookup") };
      known.set(number, keys);
      return keys;
    },
  };
}

const nameOf = (secret: Buffer): Buffer =>
  createHmac("sha256", secret).update("weir audit payload key").digest().subarray(0, NAME_BYTES);
