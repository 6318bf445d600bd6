import { NO_RULES } from "@weir/rules";
import type { Key } from "./key.ts";

/** A key without rules, budgets and limits. */
export const testKey = (some: Partial<Key> = {}): Key => ({
  id: "k",
  organizationId: "o",
  workspaceId: "w",
  workspace: "default",
  projectId: "p",
  name: "test",
  expiresAtMs: 0,
  scopes: ["inference"],
  rules: NO_RULES,
  hasHardBudget: false,
  hasBudget: false,
  hasLimit: false,
  hasConcurrencyLimit: false,
  hasProviderLimit: false,
  providerLimitFailsClosed: false,
  countsCalls: false,
  payloads: "hashes",
  endUser: "",
  ...some,
});
