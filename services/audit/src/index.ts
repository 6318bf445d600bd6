export { workspaceRetention } from "./adapters/policy-workspaces.ts";
export type { AuditConfig, AuditOptions, WorkspaceRetention } from "./config.ts";
export { createAudit } from "./service.ts";
