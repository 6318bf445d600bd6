import { guardedPost } from "@weir/egress";
import type { SendWebhook } from "../ports.ts";

const WITHIN_MS = 10_000;

/** @param internal origins that the operator lets be internal, or plain http */
export const webhookPost =
  (internal: ReadonlySet<string>): SendWebhook =>
  (address, headers, body) =>
    guardedPost(new URL(address), internal, { headers, body, signal: AbortSignal.timeout(WITHIN_MS) });
