export * from "./apply.ts";
export type { Environment } from "./environment.ts";
export { variableOf } from "./environment.ts";
export { followConfig, type FollowOptions } from "./follow.ts";
export { checkConfig, loadConfig, type LoadOptions } from "./load.ts";
export { ConfigError, type Problem } from "./problems.ts";
export { durationMs } from "./units.ts";
export type * from "./types.ts";
export { compileRule, type Rule, type RuleRequest } from "./route-rule.ts";
