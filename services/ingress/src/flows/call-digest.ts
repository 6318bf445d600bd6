import { createHash } from "node:crypto";
import type { JsonObject } from "@weir/dialects";
import { callText } from "../domain/repeated-call.ts";
import type { Incoming } from "./trail.ts";

/**
 * Equal for calls of a run that are the same call. Over the run's name, too, which policy keeps nowhere: from what it keeps for a day nobody
 * can guess what was said. The same in every ingress.
 */
export function callDigest({ runId, shape, input, inputBytes }: Incoming<unknown>): string {
  const hash = createHash("sha256").update(runId).update("\0");
  if (!("body" in input)) return hash.update(inputBytes).digest("base64url");
  const body = JSON.parse(new TextDecoder().decode(inputBytes)) as JsonObject;
  return hash.update(callText(shape.model, body)).digest("base64url");
}
