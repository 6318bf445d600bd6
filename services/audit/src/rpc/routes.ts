import { audit } from "@weir/contracts";
import { type Route, route } from "@weir/mesh";
import type { SigningKeyFacts } from "../domain/head.ts";
import type { LogBrowser } from "../flows/browse.ts";
import type { Prover } from "../flows/prove.ts";
import type { ProofReader } from "../ports.ts";
import type { EndUser } from "./convert.ts";
import { advance, erase, type ErasureHandling, getErasure, listErasedLeaves, listErasures } from "./erasure.ts";
import { exportLog } from "./export.ts";
import { gaps } from "./gaps.ts";
import { get } from "./get.ts";
import { list } from "./list.ts";
import { listSigningKeys } from "./list-signing-keys.ts";
import { listTreeHeads } from "./list-tree-heads.ts";
import { proveConsistency } from "./prove-consistency.ts";
import { proveInclusion } from "./prove-inclusion.ts";
import { type CostHandling, getRepricing, listRepricings, repriceRpc } from "./reprice.ts";
import { retentionRpc, type RetentionHandling } from "./retention.ts";
import { rotateSigningKey } from "./rotate-signing-key.ts";
import { summarize } from "./summarize.ts";
import { getTransportKey, transportKey, type TransportKeyHandling } from "./transport-key.ts";
import { getWatermarks, watermark } from "./watermark.ts";

/** What the handlers share. */
export interface Handling extends CostHandling, ErasureHandling, RetentionHandling, TransportKeyHandling {
  readonly log: LogBrowser;
  readonly proofs: ProofReader;
  readonly prover: Prover;
  /** What an end user may be called by in the store. */
  readonly lookups: (of: EndUser) => readonly Uint8Array[];
  /** Undefined: another replica is just signing. */
  readonly rotateKey: (lost: boolean) => Promise<SigningKeyFacts | undefined>;
  /** @throws WeirError missing_key, invalid_key, permission_denied */
  readonly requireAdmin: (headers: Headers) => void;
}

export const auditRoutes = (handling: Handling): Route[] => [
  route(audit.CostService, {
    reprice: repriceRpc(handling),
    listRepricings: listRepricings(handling),
    getRepricing: getRepricing(handling),
  }),
  route(audit.AuditService, {
    get: get(handling),
    list: list(handling),
    watermark: watermark(handling),
    gaps: gaps(handling),
    summarize: summarize(handling),
    transportKey: transportKey(handling),
  }),
  route(audit.ProducerService, {
    getWatermarks: getWatermarks(handling),
    getTransportKey: getTransportKey(handling),
  }),
  route(audit.RetentionService, retentionRpc(handling)),
  route(audit.ErasureService, {
    erase: erase(handling),
    listErasures: listErasures(handling),
    getErasure: getErasure(handling),
    listErasedLeaves: listErasedLeaves(handling),
    advanceErasures: advance(handling),
  }),
  route(audit.AuditProofService, {
    listTreeHeads: listTreeHeads(handling),
    proveInclusion: proveInclusion(handling),
    proveConsistency: proveConsistency(handling),
    listSigningKeys: listSigningKeys(handling),
    rotateSigningKey: rotateSigningKey(handling),
    export: exportLog(handling),
  }),
];
