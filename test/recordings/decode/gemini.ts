/** Google's generateContent. */
import { at, count, type Decoded, errorOf, type Json, list, text } from "./decoded.ts";

const GEMINI_FILTERS =
  /^(SAFETY|RECITATION|LANGUAGE|BLOCKLIST|PROHIBITED_CONTENT|SPII|MODEL_ARMOR|IMAGE_(SAFETY|PROHIBITED_CONTENT|RECITATION))$/;

function geminiFinish(reason: string, calls: boolean): string | undefined {
  if (reason === "STOP") return calls ? "tool-calls" : "stop";
  if (reason === "MAX_TOKENS") return "length";
  if (GEMINI_FILTERS.test(reason)) return "content-filter";
  return reason === "" ? undefined : "error";
}

export function decodeGeminiChunks(chunks: readonly Json[]): Decoded {
  const failed = chunks.find((chunk) => chunk["error"] !== undefined);
  const candidates = chunks.flatMap((chunk) => list(chunk["candidates"]).filter(({ index }) => (index ?? 0) === 0));
  const parts = candidates.flatMap((candidate) => list(at(candidate, "content", "parts")));
  const calls = parts.filter((part) => part["functionCall"] !== undefined);
  const blocked = chunks.some((chunk) => text(at(chunk, "promptFeedback", "blockReason")) !== "");
  const reason = text(candidates.map((candidate) => candidate["finishReason"]).findLast(Boolean));
  const usage = chunks.map((chunk) => chunk["usageMetadata"]).findLast((one) => one !== undefined);
  const thoughts = count(at(usage, "thoughtsTokenCount"));
  return {
    text: parts.map((part) => (part["thought"] === true ? "" : text(part["text"]))).join(""),
    refusal: "",
    thinking: parts.map((part) => (part["thought"] === true ? text(part["text"]) : "")).join(""),
    calls: calls.map((part) => ({
      name: text(at(part, "functionCall", "name")),
      args: at(part, "functionCall", "args") ?? {},
    })),
    callIds: calls.map((part) => text(at(part, "functionCall", "id"))),
    finish: blocked && candidates.length === 0 ? "content-filter" : geminiFinish(reason, calls.length > 0),
    usage:
      usage === undefined
        ? undefined
        : {
            input: count(at(usage, "promptTokenCount")) + count(at(usage, "toolUsePromptTokenCount")),
            output: count(at(usage, "candidatesTokenCount")) + thoughts,
            cached: count(at(usage, "cachedContentTokenCount")),
            reasoning: thoughts,
          },
    error: errorOf(failed?.["error"]),
  };
}
