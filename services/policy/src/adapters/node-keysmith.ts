import { createHash, createHmac, randomBytes } from "node:crypto";
import { type Clock, uuidv7 } from "@weir/kernel";
import type { Keysmith } from "../ports.ts";

export const nodeKeysmith = (clock: Clock): Keysmith => ({
  random: (bytes) => randomBytes(bytes),
  newId: () => uuidv7(clock.nowMs(), randomBytes(10)),
  sha256: (text) => createHash("sha256").update(text).digest(),
});

/** HMAC-SHA256 in base64, by a secret of the Standard Webhooks specification: "whsec_" and base64. */
export const webhookSignature = (secret: string, text: string): string =>
  createHmac("sha256", Buffer.from(secret.slice(secret.indexOf("_") + 1), "base64"))
    .update(text)
    .digest("base64");

/** A short name for a text of any length, which does not tell the text to who reads Redis. */
export const digest = (text: string): string =>
  text === "" ? "" : createHash("sha256").update(text).digest("base64url").slice(0, 22);
