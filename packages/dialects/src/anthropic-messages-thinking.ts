import { type ModelTraits, traitsOf } from "./anthropic-messages-models.ts";
import { NAME } from "./anthropic-messages-blocks.ts";
import type { ChatRequest, JsonObject } from "./core.ts";
import { isObject } from "./shape.ts";

/** What an answer may cost where nobody said: Anthropic wants a number. Thinking of a budget comes on top. */
const DEFAULT_MAX_TOKENS = 4096;
const LEAST_BUDGET = 1024;

/** Budgets for models that know no effort. */
const BUDGET_OF: Readonly<Record<string, number>> = {
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 32_768,
  max: 32_768,
};
const EFFORTS = new Set(["low", "medium", "high", "xhigh", "max"]);

/** How much a request may write and how it thinks: `max_tokens`, `thinking`, `output_config.effort`. */
export interface ThinkingPlan {
  readonly maxTokens: number;
  readonly thinking: JsonObject | undefined;
  readonly effort: string | undefined;
}

/**
 * Writes down thinking as the request's model takes it. A request of this dialect keeps its own words. Forced tool calls and a cap too
 * small for the least budget rule thinking out: then it is named as dropped.
 */
export function planThinking(request: ChatRequest, dropped: string[]): ThinkingPlan {
  const maxTokens = request.maxOutputTokens ?? DEFAULT_MAX_TOKENS;
  const { reasoning } = request;
  const none = { maxTokens, thinking: undefined, effort: undefined };
  if (reasoning === undefined) return none;
  if (request.extra?.dialect === NAME) {
    const { thinking, effort } = request.extra.spelling ?? {};
    return {
      maxTokens,
      thinking: isObject(thinking) ? thinking : undefined,
      effort: typeof effort === "string" ? effort : undefined,
    };
  }
  if (reasoning.effort === "none" || reasoning.budgetTokens === 0) return none;
  const traits = traitsOf(request.model);
  const display = displayOf(reasoning.includeThoughts);
  const forced = request.toolChoice?.mode === "required" || request.toolChoice?.mode === "named";
  if (traits.thinking === "adaptive") {
    const effort = effortOf(reasoning.effort, reasoning.budgetTokens, traits, dropped);
    if (forced) dropped.push("thinking");
    return { maxTokens, thinking: forced ? undefined : { type: "adaptive", ...display }, effort };
  }
  const wanted = reasoning.budgetTokens ?? BUDGET_OF[reasoning.effort ?? "medium"];
  if (wanted === undefined || forced || traits.thinking === "none") {
    dropped.push("reasoning");
    return none;
  }
  const budget = Math.max(wanted, LEAST_BUDGET);
  if (request.maxOutputTokens === undefined)
    return { maxTokens: maxTokens + budget, thinking: enabled(budget, display), effort: undefined };
  // The cap is a promise: the budget gives way, half of the cap is left for the answer.
  const fitting = Math.min(budget, Math.floor(maxTokens / 2));
  if (fitting < LEAST_BUDGET) {
    dropped.push("reasoning");
    return none;
  }
  return { maxTokens, thinking: enabled(fitting, display), effort: undefined };
}

const enabled = (budget: number, display: JsonObject): JsonObject => ({
  type: "enabled",
  budget_tokens: budget,
  ...display,
});

const displayOf = (include: boolean | undefined): JsonObject =>
  include === undefined ? {} : { display: include ? "summarized" : "omitted" };

function effortOf(
  effort: string | undefined,
  budget: number | undefined,
  traits: ModelTraits,
  dropped: string[],
): string | undefined {
  if (effort === undefined) {
    if (budget === undefined) return undefined;
    dropped.push("reasoning.budget_tokens");
    return budget <= 2048 ? "low" : budget <= 8192 ? "medium" : "high";
  }
  if (effort === "minimal") return "low";
  if (effort === "xhigh" && !traits.xhigh) return "high";
  if (EFFORTS.has(effort)) return effort;
  dropped.push("reasoning.effort");
  return undefined;
}
