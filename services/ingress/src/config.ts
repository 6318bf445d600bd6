import type { DescService } from "@bufbuild/protobuf";
import type { WeirConfig } from "@weir/config";
import { audit, policy, router } from "@weir/contracts";

/** Where the services that ingress calls are. @throws Error for one that has no address, naming the setting */
export function peerAddresses(config: Pick<WeirConfig, "peers">): (service: DescService) => readonly string[] {
  const known = new Map<string, { name: string; addresses: readonly string[] | undefined }>([
    [policy.PolicyService.typeName, { name: "POLICY", addresses: config.peers.policy }],
    [policy.IdempotencyService.typeName, { name: "POLICY", addresses: config.peers.policy }],
    [router.RouterService.typeName, { name: "ROUTER", addresses: config.peers.router }],
    [audit.ProducerService.typeName, { name: "AUDIT", addresses: config.peers.audit }],
  ]);
  return (service) => {
    const peer = known.get(service.typeName);
    if (peer?.addresses === undefined)
      throw new Error(`ingress does not know where ${service.typeName} is: set WEIR_PEER_${peer?.name ?? "…"}`);
    return peer.addresses;
  };
}
