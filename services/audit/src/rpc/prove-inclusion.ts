import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { headToWire, leafToWire } from "./convert-proof.ts";
import type { Handling } from "./routes.ts";

type Handler = ServiceImpl<typeof audit.AuditProofService>["proveInclusion"];

export const proveInclusion =
  ({ prover, requireAdmin }: Handling): Handler =>
  async ({ record, size }, context) => {
    requireAdmin(context.requestHeader);
    const proof =
      record.case === "requestId"
        ? await prover.inclusionOfRequest(record.value, Number(size))
        : await prover.inclusion(Number(record.value ?? 0n), Number(size));
    return { leaf: leafToWire(proof.leaf), head: headToWire(proof.head), path: [...proof.path] };
  };
