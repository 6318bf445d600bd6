import { audit } from "@weir/contracts";
import type { Secret } from "@weir/kernel";
import { type Route, route } from "@weir/mesh";
import type { LogBrowser } from "../flows/browse.ts";
import { adminGuard } from "./admin.ts";
import { gaps } from "./gaps.ts";
import { get } from "./get.ts";
import { list } from "./list.ts";
import { summarize } from "./summarize.ts";
import { watermark } from "./watermark.ts";

/** What the handlers share. */
export interface Handling {
  readonly log: LogBrowser;
  /** @throws WeirError missing_key, invalid_key, permission_denied */
  readonly requireAdmin: (headers: Headers) => void;
}

export function auditRoutes(log: LogBrowser, adminToken: Secret | undefined): Route[] {
  const handling: Handling = { log, requireAdmin: adminGuard(adminToken) };
  return [
    route(audit.AuditService, {
      get: get(handling),
      list: list(handling),
      watermark: watermark(handling),
      gaps: gaps(handling),
      summarize: summarize(handling),
    }),
  ];
}
