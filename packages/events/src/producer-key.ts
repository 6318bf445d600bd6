import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, hash, sign } from "node:crypto";
import { join } from "node:path";
import { batchBytes, leafHash, runsOf, type Sha256 } from "@weir/proofs";
import { keptSecret } from "@weir/sealing";
import { FRAME_KIND, type Frame } from "./frame.ts";
import { encodeFrames } from "./frames.ts";

/**
 * What signs the records of the spools below a directory: an Ed25519 key in a file beside them. It outlives its processes, so that what one left
 * behind is signed by the next as it would have been; whoever has the log's database does not have it.
 */
export interface ProducerKey {
  /** Raw, 32 bytes: an epoch says it in its epoch-open. */
  readonly publicKey: Uint8Array;
  /** A frame with the signature over these records of a producer: what the log will have as their leaves. Empty where there are none. */
  signatureOf(producer: string, frames: readonly Frame[]): Buffer;
}

const FILE = "producer.key";
/** Of every Ed25519 key in DER (RFC 8410), in front of the 32 bytes. */
const SPKI_PREFIX_BYTES = 12;

const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");
const NO_PAYLOAD_DIGEST = createHash("sha256").digest();

/** Made on first use. @throws Error for a file that cannot be read or holds no key */
export function producerKey(directory: string): ProducerKey {
  const privateKey = createPrivateKey(keptSecret(join(directory, FILE), newKey));
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return {
    publicKey: Uint8Array.from(spki.subarray(SPKI_PREFIX_BYTES)),
    signatureOf(producer, frames) {
      const hashes = new Map<number, Uint8Array>();
      for (const frame of frames) {
        // Bytes that nobody can read say nothing that a signature could be for. Of two copies the log takes the first.
        if (frame.kind === FRAME_KIND.quarantined || hashes.has(frame.number)) continue;
        hashes.set(frame.number, leafHashOf(producer, frame));
      }
      if (hashes.size === 0) return Buffer.alloc(0);
      const numbers = [...hashes.keys()].sort((a, b) => a - b);
      const leafHashes = Buffer.concat(numbers.map((number) => hashes.get(number) as Uint8Array));
      const signature = sign(null, batchBytes(producer, numbers, leafHashes), privateKey);
      const header = encodeSignature(runsOf(rangesIn(numbers)), leafHashes, signature);
      return encodeFrames([{ kind: FRAME_KIND.signature, number: 0, header }]);
    },
  };
}

const newKey = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();

const leafHashOf = (producer: string, frame: Frame): Uint8Array =>
  leafHash(sha256, {
    producer,
    number: frame.number,
    kind: frame.kind,
    intentNumber: frame.ref,
    intentProducer: frame.origin,
    payloadOmitted: frame.payloadOmitted,
    header: frame.header,
    payloadDigest: frame.payload.length === 0 ? NO_PAYLOAD_DIGEST : sha256(frame.payload),
  });

/** Sorted numbers as ranges. */
function rangesIn(numbers: readonly number[]): { first: number; last: number }[] {
  const ranges: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last === number - 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges;
}

/** weir.audit.v1.BatchSignature, whose fields are numbered 1 to 3. */
function encodeSignature(runs: readonly number[], leafHashes: Uint8Array, signature: Uint8Array): Buffer {
  const packed = Buffer.from(runs.flatMap(varint));
  return Buffer.concat([field(1, packed), field(2, leafHashes), field(3, signature)]);
}

const field = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes]);

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}
