import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { entryToWire, filterOf } from "./convert.ts";
import type { Handling } from "./routes.ts";

type List = ServiceImpl<typeof audit.AuditService>["list"];

export const list =
  ({ log, lookups, requireAdmin }: Handling): List =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const page = await log.list(filterOf(request, lookups), { size: request.pageSize, token: request.pageToken });
    return { entries: page.entries.map(entryToWire), nextPageToken: page.nextPageToken };
  };
