import { createHmac } from "node:crypto";
import { EgressError, guardedAsk } from "@weir/egress";
import { type Secret, WeirError } from "@weir/kernel";
import type { AskWebhook } from "../ports.ts";

export interface WebhookSettings {
  /** Origins that the operator lets be internal, or plain http. */
  readonly internal: ReadonlySet<string>;
  /** By name: what evaluators may be signed with. */
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly nowMs: () => number;
}

/** Signed as Standard Webhooks are (https://www.standardwebhooks.com, v1), so that whoever is asked knows by whom. */
export const webhookAsk =
  ({ internal, secrets, nowMs }: WebhookSettings): AskWebhook =>
  async ({ url, secret: name, timeoutMs }, id, body, signal) => {
    const secret = secrets.get(name);
    if (name !== "" && secret === undefined)
      throw new WeirError("invalid_request", `There is no secret ${name} among evaluation.secrets.`);
    const seconds = String(Math.floor(nowMs() / 1_000));
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": seconds,
    };
    if (secret !== undefined) {
      const signature = createHmac("sha256", secret.reveal()).update(`${id}.${seconds}.${body}`).digest("base64");
      headers["webhook-signature"] = `v1,${signature}`;
    }
    const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    let answer: Buffer;
    try {
      answer = await guardedAsk(new URL(url), internal, { headers, body, signal: limited });
    } catch (cause) {
      const why = cause instanceof EgressError ? cause.message : "it did not answer";
      throw new WeirError("provider_unreachable", `The webhook of an evaluator failed: ${why}.`, { cause });
    }
    try {
      return JSON.parse(answer.toString()) as unknown;
    } catch {
      // What is no JSON is no judgment; its words are nobody's business.
      return undefined;
    }
  };
