import type { ServiceImpl } from "@connectrpc/connect";
import { evaluation } from "@weir/contracts";
import type { Handling } from "./routes.ts";

const ENDED: Partial<Record<evaluation.Ended, "failed" | "cancelled">> = {
  [evaluation.Ended.FAILED]: "failed",
  [evaluation.Ended.CANCELLED]: "cancelled",
};

type Implementation = ServiceImpl<typeof evaluation.EvaluationService>;

/** Three calls and not a stream: an upload goes on after a call that failed, and each chunk is small. */
export const datasetHandlers = ({
  runs,
  snapshot,
  requireAdmin,
}: Handling): Pick<
  Implementation,
  "startUpload" | "appendRecords" | "commitUpload" | "snapshotTraffic" | "eraseDataset"
> => ({
  async startUpload({ name }, context) {
    requireAdmin(context.requestHeader);
    return { uploadId: await runs.startUpload(name) };
  },
  async appendRecords({ uploadId, first, lines }, context) {
    requireAdmin(context.requestHeader);
    return { records: await runs.append(uploadId, first, lines) };
  },
  async commitUpload({ uploadId }, context) {
    requireAdmin(context.requestHeader);
    const { digest, records } = await runs.commit(uploadId);
    return { dataset: digest, records };
  },
  async *snapshotTraffic(request, context) {
    requireAdmin(context.requestHeader);
    const { name, workspaceId, model, keyId, tags, share, seed, maxRecords } = request;
    const [fromMs, toMs] = [Number(request.fromMs), Number(request.toMs)];
    const ended = ENDED[request.ended] ?? "succeeded";
    yield* snapshot(
      { name, workspaceId, fromMs, toMs, model, keyId, tags, ended, share, seed, maxRecords },
      context.signal,
    );
  },
  async eraseDataset({ dataset }, context) {
    requireAdmin(context.requestHeader);
    return { atMs: BigInt(await runs.erase(dataset)) };
  },
});
