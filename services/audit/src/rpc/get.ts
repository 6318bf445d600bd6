import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { entryToWire, withPayload } from "./convert.ts";
import type { Handling } from "./routes.ts";

type Get = ServiceImpl<typeof audit.AuditService>["get"];

export const get =
  ({ log, requireAdmin }: Handling): Get =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const entries = await log.entriesOfRequest(request.requestId);
    const payloads = request.includePayload ? await log.payloadsOfRequest(request.requestId) : NONE;
    return { entries: entries.map((entry) => withPayload(entryToWire(entry), payloads.get(entry.index))) };
  };

const NONE: ReadonlyMap<number, Uint8Array | "erased"> = new Map();
