import type { Choice, FinishReason, Json, JsonObject } from "./core.ts";
import { NAME } from "./gemini-generate-parts.ts";
import { isObject, spellingFor } from "./shape.ts";

const FINISH: Readonly<Record<string, FinishReason>> = {
  STOP: "stop",
  MAX_TOKENS: "length",
  CONTINUATION: "pause",
  SAFETY: "content-filter",
  RECITATION: "content-filter",
  LANGUAGE: "content-filter",
  BLOCKLIST: "content-filter",
  PROHIBITED_CONTENT: "content-filter",
  SPII: "content-filter",
  MODEL_ARMOR: "content-filter",
  IMAGE_SAFETY: "content-filter",
  IMAGE_PROHIBITED_CONTENT: "content-filter",
  IMAGE_RECITATION: "content-filter",
};

/** Whether a candidate says that it has finished. */
export const hasFinished = (candidate: JsonObject): boolean =>
  typeof candidate.finishReason === "string" && candidate.finishReason !== "";

/**
 * Google says STOP after function calls, too. What it stops for otherwise (MALFORMED_FUNCTION_CALL, OTHER, NO_IMAGE, …) is an error.
 * @returns the reason; with `spelling` where another finishReason says the same
 */
export function parseFinish(
  value: Json | undefined,
  hasToolCalls: boolean,
): { reason: FinishReason; spelling?: JsonObject } {
  const text = typeof value === "string" ? value : "";
  const known = text === "" ? "stop" : Object.hasOwn(FINISH, text) ? FINISH[text] : undefined;
  const reason = known === "stop" && hasToolCalls ? "tool-calls" : (known ?? "error");
  return text === "" || renderReason(reason) === text ? { reason } : { reason, spelling: { finishReason: text } };
}

function renderReason(reason: FinishReason): string {
  switch (reason) {
    case "stop":
    case "tool-calls":
      return "STOP";
    case "length":
      return "MAX_TOKENS";
    case "content-filter":
    case "refusal":
      return "SAFETY";
    case "pause":
      return "CONTINUATION";
    case "error":
      return "OTHER";
  }
}

export function renderFinish(choice: Pick<Choice, "finishReason" | "extra">): string {
  const spelled = spellingFor(NAME, choice.extra)?.finishReason;
  return typeof spelled === "string" ? spelled : renderReason(choice.finishReason);
}

/** Why the prompt was refused; there are no candidates then. */
export function blockReasonOf(body: JsonObject): string | undefined {
  const feedback = body.promptFeedback;
  return isObject(feedback) && typeof feedback.blockReason === "string" && feedback.blockReason !== ""
    ? feedback.blockReason
    : undefined;
}
