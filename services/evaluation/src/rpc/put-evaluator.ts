import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import { definitionOf } from "./convert-definition.ts";
import type { Handling } from "./routes.ts";

type PutEvaluator = ServiceImpl<typeof evaluation.EvaluationService>["putEvaluator"];

export const putEvaluator =
  ({ runs, requireAdmin }: Handling): PutEvaluator =>
  async ({ name, description, definition }, context) => {
    requireAdmin(context.requestHeader);
    return { version: await runs.define(name, description, definitionOf(definition)) };
  };
