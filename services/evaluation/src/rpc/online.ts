import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { Sampling } from "../domain/sampling.ts";
import type { Handling } from "./routes.ts";

type Implementation = ServiceImpl<typeof evaluation.EvaluationService>;

const WINDOW_HOURS = 24;
const REFERENCE_HOURS = 168;
const ALPHA = 0.001;

export const onlineHandlers = ({
  sampling,
  drift,
  nowMs,
  requireAdmin,
}: Handling): Pick<Implementation, "putSampling" | "listSampling" | "checkDrift"> => ({
  async putSampling({ sampling: given }, context) {
    requireAdmin(context.requestHeader);
    if (given === undefined) throw new WeirError("invalid_request", "There is no sampling.", { param: "sampling" });
    const { workspaceId, share, evaluators, embeddingModel } = given;
    return { sampling: samplingToWire(await sampling.put({ workspaceId, share, evaluators, embeddingModel })) };
  },
  async listSampling(_request, context) {
    requireAdmin(context.requestHeader);
    return { sampling: (await sampling.list()).map(samplingToWire) };
  },
  async checkDrift({ workspaceId, model, toMs, windowHours, referenceHours, alpha }, context) {
    requireAdmin(context.requestHeader);
    const found = await drift({
      workspaceId,
      model,
      toMs: Number(toMs) || nowMs(),
      windowHours: windowHours || WINDOW_HOURS,
      referenceHours: referenceHours || REFERENCE_HOURS,
      alpha: alpha || ALPHA,
    });
    return {
      drifts: found.map(({ referenceCount, windowCount, ...one }) => ({
        ...one,
        referenceCount: BigInt(referenceCount),
        windowCount: BigInt(windowCount),
      })),
    };
  },
});

const samplingToWire = ({ evaluators, ...one }: Sampling): MessageInitShape<typeof evaluation.SamplingSchema> => ({
  ...one,
  evaluators: [...evaluators],
});
