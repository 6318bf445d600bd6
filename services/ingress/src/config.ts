import type { DescService } from "@bufbuild/protobuf";
import type { WeirConfig } from "@weir/config";
import { audit, policy, router } from "@weir/contracts";

/** Where the services that ingress calls are. @throws Error for one that has no address, naming the setting */
export function peerAddresses(config: Pick<WeirConfig, "peers">): (service: DescService) => string {
  const known = new Map<string, { name: string; address: string | undefined }>([
    [policy.PolicyService.typeName, { name: "POLICY", address: config.peers.policy }],
    [router.RouterService.typeName, { name: "ROUTER", address: config.peers.router }],
    [audit.AuditService.typeName, { name: "AUDIT", address: config.peers.audit }],
  ]);
  return (service) => {
    const peer = known.get(service.typeName);
    if (peer?.address === undefined)
      throw new Error(`ingress does not know where ${service.typeName} is: set WEIR_PEER_${peer?.name ?? "…"}`);
    return peer.address;
  };
}
