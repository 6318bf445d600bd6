/** Keys, rules and attributes as policy pushes them, in the domain's words. */
import { common, policy } from "@weir/contracts";
import { type CacheChoice, NO_RULES, type PayloadChoice, type Rules } from "@weir/rules";
import type { AttributeBounds } from "../domain/grant.ts";
import type { Bounds, Key, Scope } from "../domain/key.ts";

const SCOPES: Partial<Record<policy.Scope, Scope>> = {
  [policy.Scope.INFERENCE]: "inference",
  [policy.Scope.READ]: "read",
  [policy.Scope.ADMIN]: "admin",
  [policy.Scope.BILLING]: "billing",
  [policy.Scope.ORGANIZATION_ADMIN]: "organization-admin",
};

const PAYLOADS: Partial<Record<policy.PayloadChoice, PayloadChoice>> = {
  [policy.PayloadChoice.NONE]: "none",
  [policy.PayloadChoice.HASHES]: "hashes",
  [policy.PayloadChoice.REDACTED]: "redacted",
  [policy.PayloadChoice.FULL]: "full",
};

const CACHES: Partial<Record<common.CacheChoice, CacheChoice>> = {
  [common.CacheChoice.OFF]: "off",
  [common.CacheChoice.EXACT]: "exact",
  [common.CacheChoice.SEMANTIC]: "semantic",
};

const WIRE_CACHES: Readonly<Record<CacheChoice, common.CacheChoice>> = {
  off: common.CacheChoice.OFF,
  exact: common.CacheChoice.EXACT,
  semantic: common.CacheChoice.SEMANTIC,
};

export const wireCache = (cache: CacheChoice | undefined): common.CacheChoice =>
  cache === undefined ? common.CacheChoice.UNSPECIFIED : WIRE_CACHES[cache];

/** A choice that a newer policy knows and this process does not is taken for the strictest. */
const cacheOf = (choice: common.CacheChoice): CacheChoice | undefined =>
  choice === common.CacheChoice.UNSPECIFIED ? undefined : (CACHES[choice] ?? "off");

const payloadsOf = (choice: policy.PayloadChoice): PayloadChoice | undefined =>
  choice === policy.PayloadChoice.UNSPECIFIED ? undefined : (PAYLOADS[choice] ?? "none");

export const rulesOf = (rules: policy.Rules): Rules => ({
  allowedModels: rules.allowedModels,
  deniedModels: rules.deniedModels,
  allowedProviders: rules.allowedProviders,
  deniedProviders: rules.deniedProviders,
  allowedRegions: rules.allowedRegions,
  deniedRegions: rules.deniedRegions,
  allowedIps: rules.allowedIps,
  maxInputTokens: rules.maxInputTokens,
  maxOutputTokens: rules.maxOutputTokens,
  denyStreaming: rules.denyStreaming,
  denyTools: rules.denyTools,
  requiredGuardrails: rules.requiredGuardrails,
  cache: cacheOf(rules.cache),
  payloads: payloadsOf(rules.payloadChoice),
  fixedTags: rules.fixedTags,
});

const boundsOf = (view: Bounds): Bounds => ({
  hasHardBudget: view.hasHardBudget,
  hasBudget: view.hasBudget,
  hasLimit: view.hasLimit,
  hasConcurrencyLimit: view.hasConcurrencyLimit,
  hasProviderLimit: view.hasProviderLimit,
  providerLimitFailsClosed: view.providerLimitFailsClosed,
  countsCalls: view.countsCalls,
});

export const keyOf = (view: policy.KeyView): Key => ({
  id: view.keyId,
  organizationId: view.organizationId,
  workspaceId: view.workspaceId,
  workspace: view.workspace,
  projectId: view.projectId,
  name: view.name,
  expiresAtMs: Number(view.expiresAtMs),
  scopes: view.scopes.flatMap((scope) => SCOPES[scope] ?? []),
  rules: view.rules === undefined ? NO_RULES : rulesOf(view.rules),
  ...boundsOf(view),
  payloads: payloadsOf(view.payloadChoice) ?? "hashes",
  endUser: view.endUser,
});

/** An attribute of a kind that this process does not know bounds nothing here. */
export function attributeOf(view: policy.AttributeView): AttributeBounds[] {
  const rest = { ...boundsOf(view), rules: view.rules === undefined ? NO_RULES : rulesOf(view.rules) };
  const { attribute } = view;
  switch (attribute.case) {
    case "endUser":
      return [{ kind: "end-user", name: attribute.value, value: "", ...rest }];
    case "tag":
      return [{ kind: "tag", name: attribute.value.name, value: attribute.value.value, ...rest }];
    case undefined:
      return [];
  }
}
