export type { Log, PolicyConfig, PolicyOptions, PolicyService } from "./config.ts";
export { createPolicy } from "./service.ts";
