import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type Gaps = ServiceImpl<typeof audit.AuditService>["gaps"];

export const gaps =
  ({ log, requireAdmin }: Handling): Gaps =>
  async (_request, context) => {
    requireAdmin(context.requestHeader);
    const found = await log.gaps();
    return { gaps: found.map(({ producer, first, last }) => ({ producer, first: BigInt(first), last: BigInt(last) })) };
  };
