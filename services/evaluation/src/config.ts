import type { WeirConfig } from "@weir/config";
import type { Bus, DeadLetters } from "@weir/events";
import type { DescService } from "@bufbuild/protobuf";
import { audit, ingress } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import type { Peers } from "@weir/mesh";
import type { DatabaseAddress } from "@weir/storage";
import type { Telemetry } from "@weir/telemetry";

/** The part of weir.yaml that concerns evaluation. */
export type EvaluationConfig = Pick<WeirConfig, "adminToken" | "dataDir" | "evaluation" | "webhooks">;

export interface EvaluationOptions {
  readonly config: EvaluationConfig;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  readonly database: DatabaseAddress;
  /** Undefined: it only answers questions, and another instance does the evaluating. */
  readonly bus?: Pick<Bus, "subscribe"> | undefined;
  /** Of its consumer. Whoever gives it closes it. */
  readonly deadLetters: Omit<DeadLetters, keyof AsyncDisposable>;
  /** Where it finds GatewayService and AuditService. Undefined: it asks no models, reads no recorded texts and judges no sample. */
  readonly peers?: Peers | undefined;
  readonly clock?: Clock | undefined;
}

/** Where the services that evaluation calls are. @throws Error for one that has no address, naming the setting */
export function peerAddresses(config: Pick<WeirConfig, "peers">): (service: DescService) => readonly string[] {
  const known = new Map([
    [ingress.GatewayService.typeName, { setting: "WEIR_PEER_INGRESS", addresses: config.peers.ingress }],
    [audit.AuditService.typeName, { setting: "WEIR_PEER_AUDIT", addresses: config.peers.audit }],
  ]);
  return (service) => {
    const peer = known.get(service.typeName);
    if (peer?.addresses === undefined)
      throw new Error(`evaluation does not know where ${service.typeName} is: set ${peer?.setting ?? "its address"}`);
    return peer.addresses;
  };
}
