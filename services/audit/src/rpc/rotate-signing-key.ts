import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { keyToWire } from "./convert-proof.ts";
import type { Handling } from "./routes.ts";

type Handler = ServiceImpl<typeof audit.AuditProofService>["rotateSigningKey"];

export const rotateSigningKey =
  ({ rotateKey, requireAdmin }: Handling): Handler =>
  async ({ lost }, context) => {
    requireAdmin(context.requestHeader);
    const key = await rotateKey(lost);
    if (key === undefined) {
      throw new WeirError("audit_unavailable", "A tree head is just being signed; ask again.", { retryAfterMs: 1_000 });
    }
    return { key: keyToWire(key) };
  };
