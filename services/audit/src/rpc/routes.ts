import { audit } from "@weir/contracts";
import type { Secret } from "@weir/kernel";
import { type Route, route } from "@weir/mesh";
import type { LogBrowser } from "../flows/browse.ts";
import type { TransportKey } from "../ports.ts";
import { adminGuard } from "./admin.ts";
import { gaps } from "./gaps.ts";
import { get } from "./get.ts";
import { list } from "./list.ts";
import { summarize } from "./summarize.ts";
import { transportKey } from "./transport-key.ts";
import { watermark } from "./watermark.ts";

/** What the handlers share. */
export interface Handling {
  readonly log: LogBrowser;
  readonly key: Pick<TransportKey, "publicKey">;
  /** @throws WeirError missing_key, invalid_key, permission_denied */
  readonly requireAdmin: (headers: Headers) => void;
}

export function auditRoutes(
  log: LogBrowser,
  key: Pick<TransportKey, "publicKey">,
  adminToken: Secret | undefined,
): Route[] {
  const handling: Handling = { log, key, requireAdmin: adminGuard(adminToken) };
  return [
    route(audit.AuditService, {
      get: get(handling),
      list: list(handling),
      watermark: watermark(handling),
      gaps: gaps(handling),
      summarize: summarize(handling),
      transportKey: transportKey(handling),
    }),
  ];
}
