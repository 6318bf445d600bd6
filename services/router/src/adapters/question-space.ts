import { createCipheriv, createHmac, hkdfSync } from "node:crypto";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { Question } from "../domain/question.ts";
import { guardOf } from "../domain/question-guard.ts";
import type { QuestionSpace } from "../ports.ts";

/** The router's secret: replicas that share it share answers. A new one, and all that was kept can be neither found nor read. */
export const questionSecret = (meshToken: string): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", meshToken, "", "weir semantic cache 1", 32));

/**
 * @param context all that must be equal beside the question, as in the key of the exact cache
 * @param maker whose vectors are compared
 */
export function questionSpace(
  secret: Uint8Array,
  { workspace, model }: { readonly workspace: string; readonly model: string },
  context: string,
  { text, around }: Question,
  maker: string,
): QuestionSpace {
  const derive = (use: string, ...parts: readonly string[]): Buffer =>
    createHmac("sha256", secret)
      .update(JSON.stringify([use, ...parts]))
      .digest();
  const everything = [context, maker, canonicalJson(around), guardOf(text)];
  return {
    scope: derive("scope", workspace, model),
    name: derive("name", ...everything),
    secret: derive("secret", ...everything),
  };
}

/**
 * A vector in coordinates that only its space's secret gives: permuted, and with other signs. That changes no angle between two of a space, and
 * takes from who sees them what would turn them into words again. It is no encryption: which questions of a space are alike can be seen.
 */
export function veiled(vector: Float32Array, secret: Uint8Array): Float32Array {
  const size = vector.length;
  const cipher = createCipheriv("aes-256-ctr", secret, Buffer.alloc(16));
  const stream = cipher.update(Buffer.alloc(size * 4));
  const random = new Uint32Array(stream.buffer, stream.byteOffset, size);
  const out = new Float32Array(vector);
  for (let at = size - 1; at >= 0; at--) {
    const drawn = random[at] as number;
    // The lowest bit is the sign's; 31 bits for at most some thousand places are even enough.
    const other = (drawn >>> 1) % (at + 1);
    const value = out[other] as number;
    out[other] = out[at] as number;
    out[at] = (drawn & 1) === 0 ? value : -value;
  }
  return out;
}
