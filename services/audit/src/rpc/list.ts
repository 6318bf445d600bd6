import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { boundOf, entryToWire } from "./convert.ts";
import type { Handling } from "./routes.ts";

type List = ServiceImpl<typeof audit.AuditService>["list"];

export const list =
  ({ log, requireAdmin }: Handling): List =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const { workspaceId, keyId, model, outcome, kind } = request;
    const filter = {
      workspaceId,
      keyId,
      model,
      outcome,
      kind,
      fromMs: boundOf(request.fromMs),
      toMs: boundOf(request.toMs),
    };
    const page = await log.list(filter, { size: request.pageSize, token: request.pageToken });
    return { entries: page.entries.map(entryToWire), nextPageToken: page.nextPageToken };
  };
