import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { headToWire } from "./convert-proof.ts";
import type { Handling } from "./routes.ts";

type Handler = ServiceImpl<typeof audit.AuditProofService>["proveConsistency"];

export const proveConsistency =
  ({ prover, requireAdmin }: Handling): Handler =>
  async ({ first, second }, context) => {
    requireAdmin(context.requestHeader);
    const proof = await prover.consistency(Number(first), Number(second));
    return { first: headToWire(proof.first), second: headToWire(proof.second), path: [...proof.path] };
  };
