import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import { resultToWire } from "./convert.ts";
import type { Handling } from "./routes.ts";

type ListResults = ServiceImpl<typeof evaluation.EvaluationService>["listResults"];

export const listResults =
  ({ results, requireAdmin }: Handling): ListResults =>
  async (request, context) => {
    requireAdmin(context.requestHeader);
    const { requestId, workspaceId, evaluator } = request;
    const page = await results.list(
      { requestId, workspaceId, evaluator },
      { size: request.pageSize, token: request.pageToken },
    );
    return { results: page.results.map(resultToWire), nextPageToken: page.nextPageToken };
  };
