/** Guardrails by name: what is looked for where, and what is done about it. Rules (`required_guardrails`) say whose requests they hold for. */
import { z } from "zod";
import { duration, name } from "./setting-types.ts";
import type { GuardrailConfig, GuardrailRule } from "./types.ts";

const PERSONAL = ["email", "phone", "card", "iban", "ssn", "ip"] as const;
const DETECTORS = [
  "personal",
  ...PERSONAL,
  "secrets",
  "injection",
  "names",
  "topics",
  "patterns",
  "urls",
  "code",
  "commands",
  "schema",
] as const;
const PLACES = ["input", "tool-results", "output", "tool-arguments"] as const;
const INWARD = ["input", "tool-results"] as const;
const OUTWARD = ["output", "tool-arguments"] as const;

/** Members that only some detectors know, and which of them they need. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  names: ["phrases"],
  topics: ["phrases"],
  patterns: ["name", "patterns", "ignore_case"],
  urls: ["allow", "deny", "ip_literals"],
  code: ["languages"],
  injection: ["threshold"],
  schema: ["name", "schema"],
};
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  names: ["phrases"],
  topics: ["phrases"],
  patterns: ["name", "patterns"],
  code: ["languages"],
  schema: ["schema"],
};
/** They judge a text as a whole: there is nothing to cut out of it. */
const JUDGES = ["injection", "schema"];

const texts = z.array(z.string().min(1).max(1_024)).min(1).max(10_000);

const rule = z
  .strictObject({
    detect: z.enum(DETECTORS),
    action: z.enum(["allow", "flag", "redact", "block"]),
    in: z.array(z.enum(PLACES)).min(1).optional(),
    name: name.optional(),
    phrases: texts.optional(),
    patterns: texts.optional(),
    ignore_case: z.boolean().optional(),
    allow: texts.optional(),
    deny: texts.optional(),
    ip_literals: z.boolean().optional(),
    languages: texts.optional(),
    threshold: z.number().min(0.1).max(10).optional(),
    schema: z.record(z.string(), z.unknown()).optional(),
  })
  .superRefine((given, context) => {
    const { detect, action } = given;
    for (const [member, value] of Object.entries(given)) {
      if (value === undefined || ["detect", "action", "in"].includes(member) || OWN[detect]?.includes(member)) continue;
      context.addIssue({ code: "custom", path: [member], message: `is nothing that \`detect: ${detect}\` knows` });
    }
    for (const member of NEEDED[detect] ?? []) {
      if (given[member as keyof typeof given] === undefined)
        context.addIssue({ code: "custom", message: `\`detect: ${detect}\` needs ${member}` });
    }
    if (JUDGES.includes(detect) && action !== "flag" && action !== "block")
      context.addIssue({
        code: "custom",
        path: ["action"],
        message: `is not flag or block: \`${detect}\` judges a text as a whole`,
      });
  });

const webhook = z.strictObject({
  name,
  url: z.string().refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), "is not an http or https URL"),
  /** Signs what is sent: `env:NAME`, `file:/path`. */
  secret: z.string().min(1).optional(),
  action: z.enum(["flag", "block"]),
  in: z
    .array(z.enum(PLACES))
    .min(1)
    .default([...PLACES]),
  timeout: duration().prefault("2s"),
  /** What happens while it does not answer: refuse, or go on. */
  fail_closed: z.boolean().default(true),
});

export const guardrail = z
  .strictObject({ rules: z.array(rule).max(256).default([]), external: z.array(webhook).max(16).default([]) })
  .refine(({ rules, external }) => rules.length + external.length > 0, "has neither rules nor external");

type GuardrailFile = z.infer<typeof guardrail>;

export function completeGuardrail(
  from: GuardrailFile,
  secretOf: (webhook: number, reference: string) => GuardrailConfig["external"][number]["secret"],
): GuardrailConfig {
  return {
    rules: from.rules.flatMap(completeRule),
    external: from.external.map(
      ({ name: webhookName, url, secret, action, in: places, timeout, fail_closed }, index) => ({
        name: webhookName,
        url,
        secret: secret === undefined ? undefined : secretOf(index, secret),
        action,
        places,
        timeoutMs: timeout,
        failClosed: fail_closed,
      }),
    ),
  };
}

function completeRule(from: GuardrailFile["rules"][number]): GuardrailRule[] {
  const { detect, action } = from;
  const rule = {
    action,
    places: from.in ?? placesOf(detect),
    name: from.name ?? detect,
    phrases: from.phrases ?? [],
    patterns: from.patterns ?? [],
    ignoreCase: from.ignore_case ?? false,
    allow: from.allow,
    deny: from.deny ?? [],
    ipLiterals: from.ip_literals ?? false,
    languages: from.languages ?? [],
    threshold: from.threshold ?? 1,
    schema: from.schema,
  };
  return detect === "personal" ? PERSONAL.map((one) => ({ ...rule, detect: one })) : [{ ...rule, detect }];
}

const placesOf = (detect: (typeof DETECTORS)[number]): readonly (typeof PLACES)[number][] => {
  if (detect === "injection") return INWARD;
  if (detect === "schema") return ["output"];
  return detect === "urls" || detect === "code" || detect === "commands" ? OUTWARD : PLACES;
};
