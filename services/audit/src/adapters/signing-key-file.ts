import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { WeirError } from "@weir/kernel";
import { sameBytes, type Sha256, signingKeyId } from "@weir/proofs";
import { keptSecret, readSecret } from "@weir/sealing";
import type { SigningKeys } from "../ports.ts";

const FILE = "audit-signing.key";
/** The key of a rotation until the log has it: renamed then. A process that dies between leaves both. */
const NEXT_FILE = "audit-signing.next.key";
/** Of every Ed25519 key in DER (RFC 8410), in front of the 32 bytes. */
const SPKI_PREFIX_BYTES = 12;

/** Ed25519 keys in files of the data folder, apart from the database: who has that cannot sign for it. Replicas share the folder. */
export function signingKeyFile(dataDir: string, sha256: Sha256): SigningKeys {
  const path = join(dataDir, FILE);
  const nextPath = join(dataDir, NEXT_FILE);
  // Read each time: another replica may have made the next one.
  const load = (read: () => Buffer | undefined): Key | undefined => {
    let pem: Buffer | undefined;
    try {
      pem = read();
      return pem === undefined ? undefined : keyOf(createPrivateKey(pem), sha256);
    } catch (cause) {
      throw new WeirError("internal", `The signing key cannot be read: look at ${FILE} in audit's data folder.`, {
        cause,
      });
    }
  };
  return {
    current(id) {
      if (id === undefined) return load(() => keptSecret(path, newKey)) as Key;
      const key = load(() => readSecret(path));
      if (key !== undefined && sameBytes(key.id, id)) return key;
      const next = load(() => readSecret(nextPath));
      if (next === undefined || !sameBytes(next.id, id)) {
        throw new WeirError(
          "internal",
          `The log's last signing key is ${hex(id)}, and ${FILE} in audit's data folder ${key === undefined ? "is not there" : `holds ${hex(key.id)}`}: restore it, or begin a new one with \`weir audit keys rotate --lost\`.`,
        );
      }
      renameSync(nextPath, path);
      return next;
    },
    next: () => load(() => keptSecret(nextPath, newKey)) as Key,
  };
}

type Key = ReturnType<SigningKeys["current"]>;

const newKey = (): string => {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
};

function keyOf(privateKey: KeyObject, sha256: Sha256): Key {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const publicKey = Uint8Array.from(spki.subarray(SPKI_PREFIX_BYTES));
  return {
    id: Uint8Array.from(signingKeyId(sha256, publicKey)),
    publicKey,
    sign: (message) => sign(null, message, privateKey),
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
