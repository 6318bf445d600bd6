import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import { NO_RULES, providerNamed, regionNamed } from "@weir/rules";
import { candidates } from "../domain/candidates.ts";
import { availability } from "../domain/health.ts";
import type { Group } from "../domain/route-table.ts";
import type { RoutedTarget } from "../ports.ts";
import { candidateMessage } from "./result.ts";
import type { Routing } from "./routes.ts";

/** Every candidate in the order in which it would be tried now, and why. */
export function explainRouteRpc(routing: Routing) {
  return (request: router.ExplainRouteRequest): router.ExplainRouteResponse => {
    const route = routing.route(request.model);
    const everybody = { ...NO_RULES, draw: 0.5, inputBound: 0 };
    const nowMs = routing.flow.clock.nowMs();
    const verdicts = candidates(route, route.turn, everybody).map((target) => {
      const refusal = refusalOf(target, request, nowMs);
      const group = route.groups.findIndex(({ targets }) => targets.includes(target));
      return {
        candidate: candidateMessage(target),
        eligible: refusal === undefined,
        reason: refusal ?? standing(group, route.groups[group]),
      };
    });
    return create(router.ExplainRouteResponseSchema, { candidates: verdicts });
  };
}

function refusalOf(target: RoutedTarget, request: router.ExplainRouteRequest, nowMs: number): string | undefined {
  if (!providerNamed(request, target.provider)) return "its provider is not allowed";
  if (!regionNamed(request, target.region)) return "its region is not allowed";
  const available = availability(target.state.health, nowMs);
  if (typeof available === "string") return undefined;
  return `left alone for ${Math.ceil(available.waitMs / 1000)} s: ${available.reason}`;
}

function standing(group: number, { strategy }: Pick<Group, "strategy"> = { strategy: "priority" }): string {
  return group > 0 ? `fallback ${group}, by ${strategy}` : `by ${strategy}`;
}
