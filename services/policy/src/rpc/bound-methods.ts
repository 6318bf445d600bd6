import type { ServiceImpl } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import { NO_RULES } from "@weir/rules";
import * as bounds from "../flows/admin-bounds.ts";
import type { KeyDependencies } from "../flows/admin-keys.ts";
import type { CallerOf } from "./authenticate.ts";
import { rulesIfStated, rulesToWire } from "./convert-rules.ts";
import { askedPlace, attributeToWire } from "./convert-terms.ts";

type BoundMethods = Pick<
  ServiceImpl<typeof policy.PolicyAdminService>,
  "deleteBudget" | "deleteLimit" | "putRules" | "listAttributes"
>;

export function boundMethods(dependencies: KeyDependencies, callerOf: CallerOf): BoundMethods {
  return {
    async deleteBudget(request, context) {
      await bounds.deleteBudget(dependencies, await callerOf(context), request.budgetId);
      return {};
    },
    async deleteLimit(request, context) {
      await bounds.deleteLimit(dependencies, await callerOf(context), request.limitId);
      return {};
    },
    async putRules(request, context) {
      const caller = await callerOf(context);
      const asked = rulesIfStated(request.rules) ?? NO_RULES;
      const rules = await bounds.putRules(dependencies, caller, askedPlace(request.place), asked);
      return { rules: rulesToWire(rules) };
    },
    async listAttributes(request, context) {
      const rows = await bounds.listAttributes(dependencies, await callerOf(context), request.workspace);
      return { attributes: rows.map(attributeToWire) };
    },
  };
}
