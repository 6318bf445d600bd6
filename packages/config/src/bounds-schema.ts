/** What bounds requests, as weir.yaml and files for `weir apply` say it: rules, budgets, limits. */
import { CACHES, NO_RULES, PAYLOADS, ruleProblem, type Rules } from "@weir/rules";
import { z } from "zod";
import { dollars } from "./price-schema.ts";
import { count, duration, tokens } from "./setting-types.ts";
import type { BudgetSeed, LimitSeed } from "./types.ts";

const amount = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const given = (names: readonly string[], value: object): string[] =>
  names.filter((field) => value[field as keyof typeof value] !== undefined);
const onlyOne =
  (names: readonly string[]) =>
  (value: object): boolean =>
    given(names, value).length === 1;

const BUDGET_LIMITS = ["limit_usd", "limit_tokens", "limit_requests"];

export const budget = z
  .strictObject({
    period: z.enum(["day", "week", "month", "total"]),
    limit_usd: dollars.optional(),
    limit_tokens: amount.optional(),
    limit_requests: amount.optional(),
    /** A soft budget is counted and shown, and refuses nothing. */
    hard: z.boolean().default(true),
    /** One for each run or end user, instead of one for all. */
    per: z.enum(["none", "run", "end-user"]).default("none"),
    max_identical_calls: count.max(1_000_000).optional(),
  })
  .refine(onlyOne(BUDGET_LIMITS), "needs exactly one of limit_usd, limit_tokens and limit_requests")
  .refine(
    ({ per, max_identical_calls }) => max_identical_calls === undefined || per === "run",
    "counts calls per run only: max_identical_calls needs per: run",
  );

export function completeBudget(from: z.infer<typeof budget>): BudgetSeed {
  const { period, hard, per } = from;
  const common = { period, hard, per, maxIdenticalCalls: from.max_identical_calls };
  if (from.limit_usd !== undefined) return { ...common, unit: "nano-usd", limit: from.limit_usd };
  if (from.limit_tokens !== undefined) return { ...common, unit: "tokens", limit: BigInt(from.limit_tokens) };
  return { ...common, unit: "requests", limit: BigInt(from.limit_requests ?? 0) };
}

const LIMIT_UNITS = ["requests", "tokens", "input_tokens", "output_tokens", "concurrency"] as const;

export const limit = z
  .strictObject({
    per: z.enum(["key", "project", "workspace", "end-user", "client-ip", "model", "provider"]),
    requests: count.optional(),
    tokens: count.optional(),
    input_tokens: count.optional(),
    output_tokens: count.optional(),
    /** So many requests at a time. */
    concurrency: count.max(100_000).optional(),
    window: duration(1_000)
      .refine((ms) => ms <= 86_400_000, "is longer than a day")
      .optional(),
    /** How many more may come at once. Default: a tenth. */
    burst: amount.optional(),
    /** What happens while Redis is away: refuse, or go on with a local limiter. */
    fail_closed: z.boolean().default(false),
    /** Of a limit per model or provider: the one that it is for. */
    only: z.string().min(1).max(256).optional(),
    /** What does not fit waits for its turn, instead of being refused. Of limits per model. */
    queue: z
      .strictObject({
        max_wait: duration(1).refine((ms) => ms <= 600_000, "is longer than ten minutes"),
        max_length: count.max(10_000).default(100),
        /** By a workspace's name; others weigh 1. */
        weights: z.record(z.string(), count.max(1_000)).default({}),
      })
      .optional(),
  })
  .refine(onlyOne(LIMIT_UNITS), `needs exactly one of ${LIMIT_UNITS.join(", ")}`)
  .refine(
    ({ window, concurrency }) => (window === undefined) === (concurrency !== undefined),
    "needs a window, unless it is of concurrency, which has none",
  )
  .refine(
    ({ burst, concurrency }) => burst === undefined || concurrency === undefined,
    "what runs at a time has no burst",
  )
  .refine(
    ({ per, only }) => only === undefined || per === "model" || per === "provider",
    "only a limit per model or provider can be for one of them",
  )
  .refine(
    ({ per, concurrency, queue }) => queue === undefined || (per === "model" && concurrency === undefined),
    "requests wait under limits per model, of requests or tokens",
  );

export function completeLimit(from: z.infer<typeof limit>): LimitSeed {
  const unit = LIMIT_UNITS.find((name) => from[name] !== undefined) ?? "requests";
  const most = from[unit] ?? 0;
  return {
    per: from.per,
    unit: unit.replace("_", "-") as LimitSeed["unit"],
    amount: most,
    windowMs: from.window ?? 0,
    burst: unit === "concurrency" ? 0 : (from.burst ?? Math.floor(most / 10)),
    failClosed: from.fail_closed,
    only: from.only,
    queue: from.queue && {
      maxWaitMs: from.queue.max_wait,
      maxLength: from.queue.max_length,
      weights: from.queue.weights,
    },
  };
}

const list = z.array(z.string().max(256)).default([]);

export const payloads = z.enum(PAYLOADS);

/** As @weir/rules says, each by its name on the wire. */
const ruleFields = z.strictObject({
  allowed_models: list,
  denied_models: list,
  allowed_providers: list,
  denied_providers: list,
  allowed_regions: list,
  denied_regions: list,
  allowed_ips: list,
  max_input_tokens: tokens.optional(),
  max_output_tokens: tokens.optional(),
  deny_streaming: z.boolean().default(false),
  deny_tools: z.boolean().default(false),
  required_guardrails: list,
  cache: z.enum(CACHES).optional(),
  payloads: payloads.optional(),
  fixed_tags: z.record(z.string(), z.string()).default({}),
});

export const rules = ruleFields.superRefine((from, context) => {
  const problem = ruleProblem(completeRules(from));
  if (problem !== undefined) context.addIssue({ code: "custom", path: [problem.param], message: problem.message });
});

type RulesFile = z.infer<typeof ruleFields>;

export const completeRules = (from: RulesFile): Rules => ({
  ...NO_RULES,
  allowedModels: from.allowed_models,
  deniedModels: from.denied_models,
  allowedProviders: from.allowed_providers,
  deniedProviders: from.denied_providers,
  allowedRegions: from.allowed_regions,
  deniedRegions: from.denied_regions,
  allowedIps: from.allowed_ips,
  maxInputTokens: from.max_input_tokens ?? 0,
  maxOutputTokens: from.max_output_tokens ?? 0,
  denyStreaming: from.deny_streaming,
  denyTools: from.deny_tools,
  requiredGuardrails: from.required_guardrails,
  cache: from.cache,
  payloads: from.payloads,
  fixedTags: Object.entries(from.fixed_tags).map(([name, value]) => `${name}=${value}`),
});
