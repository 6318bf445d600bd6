export type { AuditConfig, AuditOptions } from "./config.ts";
export { createAudit } from "./service.ts";
