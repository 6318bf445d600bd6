/** The file of `weir apply`. Rules, budgets and limits as in weir.yaml; see docs/configuration.md. */
import { tagOf, tagProblem } from "@weir/rules";
import { z } from "zod";
import { budget, limit, payloads, rules } from "./bounds-schema.ts";
import { duration, name, timeZone } from "./setting-types.ts";

const bounds = {
  /** Absent: as they are. */
  rules: rules.optional(),
  budgets: z.array(budget).optional(),
  limits: z.array(limit).optional(),
};

const place = z.strictObject(bounds);

const endUser = z.string().min(1).max(256);
const tag = z.string().refine((text) => {
  const parted = tagOf(text);
  return parted !== undefined && tagProblem(parted.name, parted.value) === undefined;
}, "is not a tag like team=search");

const issuer = z.strictObject({
  project: name.default("default"),
  url: z.string().min(1).max(1024),
  jwks_url: z.string().max(1024).default(""),
  audiences: z.array(z.string().min(1).max(256)).min(1).max(16),
  /** Absent: those that are usual. */
  algorithms: z.array(z.string()).max(10).optional(),
  required_claims: z.record(z.string(), z.string()).default({}),
  end_user_claim: z.string().max(256).default(""),
  ttl: duration(1_000)
    .refine((ms) => ms <= 86_400_000, "is longer than a day")
    .prefault("1h"),
  scopes: z.array(z.enum(["inference", "read"])).default(["inference"]),
  rules: rules.prefault({}),
});

const workspace = z.strictObject({
  organization: name.default("default"),
  /** Absent: as it is. */
  payloads: payloads.optional(),
  time_zone: timeZone.optional(),
  ...bounds,
  projects: z.record(name, place).default({}),
  end_users: z.record(endUser, place).default({}),
  tags: z.record(tag, place).default({}),
  issuers: z.record(name, issuer).default({}),
  /** Where warnings of budgets are sent to. */
  webhook: z.url({ protocol: /^https?$/ }).optional(),
});

export const applySchema = z.strictObject({
  organizations: z.record(name, place).default({}),
  workspaces: z.record(name, workspace).default({}),
});

export type ApplyFile = z.infer<typeof applySchema>;
