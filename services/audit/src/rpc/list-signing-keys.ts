import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { keyToWire } from "./convert-proof.ts";
import type { Handling } from "./routes.ts";

type Handler = ServiceImpl<typeof audit.AuditProofService>["listSigningKeys"];

export const listSigningKeys =
  ({ proofs, requireAdmin }: Handling): Handler =>
  async (_, context) => {
    requireAdmin(context.requestHeader);
    const keys = await proofs.signingKeys();
    return { logId: await proofs.logId(), keys: keys.map(keyToWire) };
  };
