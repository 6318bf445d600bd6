import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { boundOf, totalToWire } from "./convert.ts";
import type { Handling } from "./routes.ts";

type Summarize = ServiceImpl<typeof audit.AuditService>["summarize"];

export const summarize =
  ({ log, requireAdmin }: Handling): Summarize =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const totals = await log.summarize(request.workspaceId, boundOf(request.fromMs), boundOf(request.toMs));
    return { models: totals.map(totalToWire) };
  };
