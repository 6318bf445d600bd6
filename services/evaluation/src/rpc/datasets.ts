import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type Implementation = ServiceImpl<typeof evaluation.EvaluationService>;

/** Three calls and not a stream: an upload goes on after a call that failed, and each chunk is small. */
export const datasetHandlers = ({
  runs,
  requireAdmin,
}: Handling): Pick<Implementation, "startUpload" | "appendRecords" | "commitUpload"> => ({
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
});
