/**
 * Detectors outside the house. Whether a request goes on while one of them does not answer is its own choice (fail_closed); one that answers
 * nonsense has not answered.
 */
import { createHmac } from "node:crypto";
import type { ExternalCheck } from "../domain/guardrails/guard.ts";
import type { ExternalDetectors } from "../ports.ts";

const LONGEST_ANSWER = 65_536;

export function webhookDetectors(onError: (error: unknown) => void): ExternalDetectors {
  return {
    async ask(check, asked) {
      try {
        return (await call(check, JSON.stringify({ guardrail: check.guardrail, ...asked }))) ? "found" : "nothing";
      } catch (error) {
        onError(new Error(`the detector "${check.name}" did not answer`, { cause: error }));
        return "unasked";
      }
    },
  };
}

async function call({ url, secret, timeoutMs }: ExternalCheck, body: string): Promise<boolean> {
  const signature = secret && createHmac("sha256", secret.reveal()).update(body).digest("hex");
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(signature === undefined ? {} : { "x-weir-signature": `sha256=${signature}` }),
    },
    body,
    // Elsewhere than the operator said it is not asked.
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  if (!response.ok || text.length > LONGEST_ANSWER) throw new Error(`it answered ${response.status}`);
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== "object" || answer === null || !("found" in answer) || typeof answer.found !== "boolean")
    throw new Error("its answer has no `found`");
  return answer.found;
}
