import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { entryToWire } from "./convert.ts";
import type { Handling } from "./routes.ts";

type Get = ServiceImpl<typeof audit.AuditService>["get"];

export const get =
  ({ log, requireAdmin }: Handling): Get =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const entries = await log.entriesOfRequest(request.requestId);
    return { entries: entries.map(entryToWire) };
  };
