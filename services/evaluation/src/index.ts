export type { EvaluationConfig, EvaluationOptions } from "./config.ts";
export { createEvaluation } from "./service.ts";
