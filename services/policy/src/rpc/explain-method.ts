import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { checkedTags } from "@weir/rules";
import type { CandidateVerdict, ImaginedCandidate, LevelVerdict } from "../domain/explain.ts";
import { type BudgetVerdict, explain, type ExplainDependencies, type LimitVerdict } from "../flows/explain.ts";
import type { CallerOf } from "./authenticate.ts";
import { checkedId, errorToWire, limitStateToWire } from "./convert.ts";
import { rulesToWire } from "./convert-rules.ts";

type ExplainMethod = Pick<ServiceImpl<typeof policy.PolicyAdminService>, "explain">;

const MOST_CANDIDATES = 256;

export function explainMethod(dependencies: ExplainDependencies, callerOf: CallerOf): ExplainMethod {
  return {
    async explain(request, context) {
      const caller = await callerOf(context);
      if (request.candidates.length > MOST_CANDIDATES)
        throw new WeirError("invalid_request", `At most ${MOST_CANDIDATES} candidates.`, { param: "candidates" });
      const { model, endUser, clientIp, stream, tools, inputTokens, outputTokens, runId } = request;
      const tags = checkedTags(Object.entries(request.tags), "tags");
      const candidates = request.candidates.map(candidateFromWire);
      const asked = { model, endUser, clientIp, stream, tools, tags, inputTokens, outputTokens, runId, candidates };
      const found = await explain(dependencies, caller, checkedId(request.keyId, "key_id"), asked);
      const { refusal, hold, rules, attributes, key } = found;
      return {
        admitted: refusal === undefined,
        ...(refusal === undefined ? {} : { refused: { error: errorToWire(refusal.error), rule: refusal.rule } }),
        levels: found.levels.map(levelToWire),
        rules: rulesToWire(rules),
        tags: { ...attributes.tags },
        candidates: found.candidates.map(candidateToWire),
        ...(hold === undefined || found.budgets.length === 0 ? {} : { hold }),
        limits: found.limits.map(limitToWire),
        budgets: found.budgets.map(budgetToWire),
        key: `${key.workspace}: ${key.name} (${key.scopes.join(", ")})`,
        workspace: key.workspace,
      };
    },
  };
}

const candidateFromWire = ({ provider, model, region, bound }: policy.ExplainCandidate): ImaginedCandidate => ({
  provider,
  model,
  region,
  bound,
});

const levelToWire = ({ level, rules, refusal }: LevelVerdict): MessageInitShape<typeof policy.LevelVerdictSchema> => ({
  level,
  rules: rulesToWire(rules),
  refusedBy: refusal?.rule ?? "",
  message: refusal?.message ?? "",
});

const candidateToWire = ({
  candidate: { provider, model, region, bound },
  allowed,
  reason,
}: CandidateVerdict): MessageInitShape<typeof policy.CandidateVerdictSchema> => ({
  candidate: { provider, model, region, ...(bound === undefined ? {} : { bound }) },
  allowed,
  reason,
});

const limitToWire = ({
  limit,
  takes,
  state,
  refuses,
}: LimitVerdict): MessageInitShape<typeof policy.LimitVerdictSchema> => ({
  limit,
  takes: BigInt(takes),
  state: limitStateToWire(state),
  refuses,
});

const budgetToWire = ({
  budget,
  takes,
  state,
  refuses,
}: BudgetVerdict): MessageInitShape<typeof policy.BudgetVerdictSchema> => ({
  budget,
  takes,
  refuses,
  state: { ...state, periodEndMs: BigInt(state.periodEndMs ?? 0) },
});
