import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { KeptAnswer } from "../ports.ts";

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** u8 version | nonce (12) | AES-256-GCM of: u32 length, facts in JSON | u32 length, body | terminal | tag (16). */
export function sealedAnswer(answer: KeptAnswer, secret: Uint8Array): Buffer {
  const { body, terminal, costNanos, ...facts } = answer;
  const text = Buffer.from(JSON.stringify({ ...facts, costNanos: String(costNanos) }));
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32BE(text.length, 0);
  sizes.writeUInt32BE(body.length, 4);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", secret, nonce);
  const sealed = [sizes, text, body, terminal].map((part) => cipher.update(part));
  return Buffer.concat([Buffer.from([VERSION]), nonce, ...sealed, cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined for bytes that were not sealed so, or were changed */
export function openedAnswer(bytes: Uint8Array, secret: Uint8Array): KeptAnswer | undefined {
  const sealed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES + 8 || sealed[0] !== VERSION) return undefined;
  let plain: Buffer;
  try {
    const decipher = createDecipheriv("aes-256-gcm", secret, sealed.subarray(1, 1 + NONCE_BYTES));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    plain = Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
  const [textBytes, bodyBytes] = [plain.readUInt32BE(0), plain.readUInt32BE(4)];
  const bodyAt = 8 + textBytes;
  // It has the key's seal: whoever wrote it had the same request, and this program's form.
  const facts = JSON.parse(plain.toString("utf8", 8, bodyAt)) as Omit<KeptAnswer, "body" | "terminal" | "costNanos"> & {
    readonly costNanos: string;
  };
  return {
    ...facts,
    usage: facts.usage ?? undefined,
    finishReason: facts.finishReason ?? undefined,
    costNanos: BigInt(facts.costNanos),
    body: plain.subarray(bodyAt, bodyAt + bodyBytes),
    terminal: plain.subarray(bodyAt + bodyBytes),
  };
}
