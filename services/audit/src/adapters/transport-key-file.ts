import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import { WeirError } from "@weir/kernel";
import { keptSecret, newPrivateKey, openSealed, privateKeyOf, publicKeyOf, readSecret, SealError } from "@weir/sealing";
import type { TransportKey } from "../ports.ts";

const FILE = "audit-transport.key";

/** In a file, so that whoever has the database does not have what opens it. Only being asked for the public half makes one. */
export function transportKeyFile(dataDir: string): TransportKey {
  const path = join(dataDir, FILE);
  let kept: KeyObject | undefined;
  const load = (read: () => Buffer | undefined): KeyObject | undefined => {
    if (kept !== undefined) return kept;
    try {
      const pem = read();
      kept = pem === undefined ? undefined : privateKeyOf(pem);
    } catch (cause) {
      throw new WeirError("internal", `The transport key cannot be read: look at ${FILE} in audit's data folder.`, {
        cause,
      });
    }
    return kept;
  };
  return {
    publicKey: () => publicKeyOf(load(() => keptSecret(path, newPrivateKey)) as KeyObject),
    open(sealed, requestId) {
      const key = load(() => readSecret(path));
      if (key === undefined) {
        throw new WeirError("not_found", `The payload cannot be opened: audit's data folder has no ${FILE}.`);
      }
      try {
        return openSealed(sealed, requestId, key);
      } catch (cause) {
        if (!(cause instanceof SealError)) throw cause;
        throw new WeirError(cause.kind === "unknown-key" ? "not_found" : "internal", cause.message, { cause });
      }
    },
  };
}
