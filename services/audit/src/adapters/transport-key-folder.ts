import { join } from "node:path";
import { WeirError } from "@weir/kernel";
import {
  createOpener,
  newPrivateKey,
  numberedSecrets,
  type Opener,
  privateKeyOf,
  publicKeyOf,
  recipientOf,
  SealError,
} from "@weir/sealing";
import type { TransportKeys } from "../ports.ts";

/** What it was when there was but one. */
const FIRST_FILE = "audit-transport.key";
const FOLDER = "audit-transport";

interface Key {
  readonly publicKey: Uint8Array;
  readonly opener: Opener;
}

/** The private halves, for who is given payloads. */
export interface PayloadOpeners {
  /**
   * @returns what opens payloads that were sealed to the same key as this one
   * @throws SealError where that key is not here, or the bytes are no payload
   */
  openerOf(sealed: Uint8Array): Opener;
}

/** In files of a folder, so that whoever has the database does not have what opens it. Replicas share the folder. */
export function transportKeyFolder(dataDir: string): TransportKeys & PayloadOpeners {
  const files = numberedSecrets(join(dataDir, FOLDER), join(dataDir, FIRST_FILE));
  const known = new Map<number, Key>();

  function guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw new WeirError("internal", `Transport keys cannot be read: look at ${FOLDER} in audit's data folder.`, {
        cause,
      });
    }
  }

  /** What was destroyed, here or by another process, leaves the memory, too. */
  function numbers(): number[] {
    const there = guarded(() => files.numbers());
    for (const number of known.keys()) if (!there.includes(number)) known.delete(number);
    return there;
  }

  function keyOf(number: number, read: () => Buffer | undefined): Key | undefined {
    let key = known.get(number);
    if (key === undefined) {
      const pem = guarded(read);
      if (pem === undefined) return undefined;
      const privateKey = guarded(() => privateKeyOf(pem));
      key = { publicKey: publicKeyOf(privateKey), opener: createOpener(privateKey) };
      known.set(number, key);
    }
    return key;
  }

  function made(number: number) {
    const { publicKey, opener } = keyOf(number, () => files.make(number, newPrivateKey)) as Key;
    return { number, id: opener.keyId, publicKey };
  }

  return {
    newest: () => made(numbers().at(-1) ?? 1),
    all: () =>
      numbers().flatMap((number) => {
        const key = keyOf(number, () => files.read(number));
        return key === undefined ? [] : [{ number, id: key.opener.keyId, publicKey: key.publicKey }];
      }),
    make: (number) => void made(number),
    destroy(number) {
      guarded(() => files.destroy(number));
      known.delete(number);
    },
    openerOf(sealed) {
      const id = recipientOf(sealed);
      if (id === undefined) {
        throw new SealError("damaged", "These bytes are no sealed payload that this version knows.");
      }
      const find = (): Opener | undefined => [...known.values()].find(({ opener }) => opener.keyId.equals(id))?.opener;
      let opener = find();
      if (opener === undefined) {
        for (const number of numbers()) keyOf(number, () => files.read(number));
        opener = find();
      }
      if (opener === undefined) {
        const text = `This payload is sealed to the key ${id.toString("hex")}, which is not in audit's data folder.`;
        throw new SealError("unknown-key", text);
      }
      return opener;
    },
  };
}
