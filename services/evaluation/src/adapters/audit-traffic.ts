/** Recorded traffic, read from the audit log with the operator's token. Texts pass through and are kept nowhere. */
import type { CallOptions, Client } from "@connectrpc/connect";
import { audit, common } from "@weir/contracts";
import { type Secret, WeirError } from "@weir/kernel";
import { fromConnectError, type Peers } from "@weir/mesh";
import type { RecordedTexts, Traffic, TrafficFilter, TrafficRecord } from "../ports.ts";
import { readTexts } from "./recorded-bodies.ts";

const WITHIN_MS = 30_000;
const PAGE = 1_000;

const ENDED: Readonly<Record<TrafficFilter["ended"], audit.OutcomeKind>> = {
  succeeded: audit.OutcomeKind.SUCCEEDED,
  failed: audit.OutcomeKind.FAILED,
  cancelled: audit.OutcomeKind.CANCELLED,
};

export const noTraffic = (unusable: string): Traffic => {
  const refuse = (): Promise<never> => Promise.reject(new WeirError("invalid_request", unusable));
  return { unusable, list: refuse, read: refuse };
};

export function auditTraffic(peers: Peers, adminToken: Secret): Traffic {
  let found: Client<typeof audit.AuditService> | undefined;
  const client = () => (found ??= peers.client(audit.AuditService));
  const options = (): CallOptions => ({
    headers: { authorization: `Bearer ${adminToken.reveal()}` },
    timeoutMs: WITHIN_MS,
  });
  return {
    unusable: undefined,
    async list({ workspaceId, fromMs, toMs, model, keyId, ended }, pageToken) {
      const asked = {
        workspaceId,
        keyId,
        model,
        fromMs: BigInt(fromMs),
        toMs: BigInt(toMs),
        outcome: ENDED[ended],
        kind: audit.RecordKind.OUTCOME,
        pageSize: PAGE,
        pageToken,
      };
      const { entries, nextPageToken } = await told(() => client().list(asked, options()));
      return { records: entries.flatMap(chatRecord), next: nextPageToken };
    },
    async read(requestId) {
      const asked = { requestId, includePayload: true };
      const { entries } = await told(() => client().get(asked, options())).catch((error: unknown) => {
        if (error instanceof WeirError && error.reason === "not_found") return { entries: [] };
        throw error;
      });
      return textsOf(entries);
    },
  };
}

function chatRecord({ record, leafHash }: audit.Entry): TrafficRecord[] {
  if (record.case !== "outcome") return [];
  const { intent } = record.value;
  if (
    intent === undefined ||
    intent.dialect === common.Dialect.OPENAI_EMBEDDINGS ||
    intent.route.endsWith("/CreateEmbedding")
  )
    return [];
  return [{ requestId: intent.requestId, leaf: Buffer.from(leafHash).toString("hex"), tags: intent.tags }];
}

function textsOf(entries: readonly audit.Entry[]): RecordedTexts {
  const entry = entries.findLast(({ record }) => record.case === "outcome");
  if (entry?.record.case !== "outcome") return { missing: "not-in-the-log" };
  if (entry.payloadErased) return { missing: "erased" };
  if (entry.payload === undefined) return { missing: "texts-not-kept" };
  const read = readTexts(entry.payload, entry.record.value.intent?.dialect ?? common.Dialect.UNSPECIFIED);
  return "missing" in read ? read : { ...read, leaf: Buffer.from(entry.leafHash).toString("hex") };
}

async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromConnectError(error);
  }
}
