import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type ListEvaluators = ServiceImpl<typeof evaluation.EvaluationService>["listEvaluators"];

export const listEvaluators =
  ({ results, requireAdmin }: Handling): ListEvaluators =>
  async (_request, context) => {
    requireAdmin(context.requestHeader);
    return { evaluators: [...(await results.evaluators())] };
  };
