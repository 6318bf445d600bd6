import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { headToWire } from "./convert-proof.ts";
import type { Handling } from "./routes.ts";

type Handler = ServiceImpl<typeof audit.AuditProofService>["listTreeHeads"];

const DEFAULT_LIMIT = 100;

export const listTreeHeads =
  ({ proofs, requireAdmin }: Handling): Handler =>
  async ({ limit, beforeSize }, context) => {
    requireAdmin(context.requestHeader);
    const before = beforeSize === 0n ? undefined : Number(beforeSize);
    const heads = await proofs.heads(limit === 0 ? DEFAULT_LIMIT : limit, before);
    return { heads: heads.map(headToWire) };
  };
