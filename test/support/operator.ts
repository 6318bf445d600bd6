import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { audit, evaluation, policy } from "@weir/contracts";
import type { BootedWeir } from "@weir/testkit";

/** What an operator asks of a running Weir, over the wire, with the admin token. */
export interface Operator {
  readonly policy: Client<typeof policy.PolicyAdminService>;
  readonly audit: Client<typeof audit.AuditService>;
  readonly evaluation: Client<typeof evaluation.EvaluationService>;
}

/** @param meshToken for services that only the mesh may call */
export function operatorOf(weir: Pick<BootedWeir, "rpcUrl" | "adminToken">, meshToken = ""): Operator {
  const transport = createConnectTransport({
    baseUrl: weir.rpcUrl,
    httpVersion: "1.1",
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${weir.adminToken}`);
        if (meshToken !== "") request.header.set("x-weir-mesh-token", meshToken);
        return next(request);
      },
    ],
  });
  return {
    policy: createClient(policy.PolicyAdminService, transport),
    audit: createClient(audit.AuditService, transport),
    evaluation: createClient(evaluation.EvaluationService, transport),
  };
}
