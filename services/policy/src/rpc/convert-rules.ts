import { common, policy } from "@weir/contracts";
import type { CacheChoice, PayloadChoice, Rules } from "@weir/rules";
import { words } from "./words.ts";

export const PAYLOADS = words<PayloadChoice, policy.PayloadChoice>({
  none: policy.PayloadChoice.NONE,
  hashes: policy.PayloadChoice.HASHES,
  redacted: policy.PayloadChoice.REDACTED,
  full: policy.PayloadChoice.FULL,
});

const CACHES = words<CacheChoice, common.CacheChoice>({
  off: common.CacheChoice.OFF,
  exact: common.CacheChoice.EXACT,
  semantic: common.CacheChoice.SEMANTIC,
});

/** 0 on the wire: not stated. */
export const payloadsIfStated = (choice: policy.PayloadChoice): PayloadChoice | undefined =>
  choice === policy.PayloadChoice.UNSPECIFIED ? undefined : PAYLOADS.fromWire(choice, "payload_choice");

export const rulesToWire = (rules: Rules) => ({
  allowedModels: [...rules.allowedModels],
  deniedModels: [...rules.deniedModels],
  allowedProviders: [...rules.allowedProviders],
  deniedProviders: [...rules.deniedProviders],
  allowedRegions: [...rules.allowedRegions],
  deniedRegions: [...rules.deniedRegions],
  allowedIps: [...rules.allowedIps],
  maxInputTokens: rules.maxInputTokens,
  maxOutputTokens: rules.maxOutputTokens,
  denyStreaming: rules.denyStreaming,
  denyTools: rules.denyTools,
  requiredGuardrails: [...rules.requiredGuardrails],
  cache: rules.cache === undefined ? common.CacheChoice.UNSPECIFIED : CACHES.toWire(rules.cache),
  payloadChoice: rules.payloads === undefined ? policy.PayloadChoice.UNSPECIFIED : PAYLOADS.toWire(rules.payloads),
  fixedTags: [...rules.fixedTags],
});

export const rulesIfStated = (rules: policy.Rules | undefined): Rules | undefined =>
  rules === undefined ? undefined : rulesFromWire(rules);

export const rulesFromWire = (rules: policy.Rules): Rules => ({
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
  cache: rules.cache === common.CacheChoice.UNSPECIFIED ? undefined : CACHES.fromWire(rules.cache, "rules.cache"),
  payloads:
    rules.payloadChoice === policy.PayloadChoice.UNSPECIFIED
      ? undefined
      : PAYLOADS.fromWire(rules.payloadChoice, "rules.payload_choice"),
  fixedTags: rules.fixedTags,
});
