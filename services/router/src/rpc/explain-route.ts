import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import { NO_RULES, providerNamed, regionNamed } from "@weir/rules";
import { candidates } from "../domain/candidates.ts";
import { availability } from "../domain/health.ts";
import { faded } from "../domain/peak-ewma.ts";
import type { Group, Shadow } from "../domain/route-table.ts";
import { estimatedCost, type Ranked } from "../domain/strategy.ts";
import type { RoutedTarget } from "../ports.ts";
import { candidateMessage } from "./result.ts";
import type { Routing } from "./routes.ts";

/** Every candidate in the order in which it would be tried now, and why. Where chance decides, one order of several. */
export function explainRouteRpc(routing: Routing) {
  return (request: router.ExplainRouteRequest): router.ExplainRouteResponse => {
    const route = routing.route(request.model);
    const { clock, random } = routing.flow;
    const ranked: Ranked = {
      draws: [random(), random()],
      inputBound: request.inputTokens,
      outputCap: request.outputTokens,
      stream: request.stream,
      conversation: request.conversation,
      nowMs: clock.monotonicMs(),
    };
    const nowMs = clock.nowMs();
    const verdicts = candidates(route, route.turn, {
      ...NO_RULES,
      ...ranked,
      returning: 0,
      canary: random(),
      healthMs: nowMs,
    }).map((target) => {
      const refusal = refusalOf(target, request, nowMs);
      const group = route.groups.findIndex(({ targets }) => targets.includes(target));
      const member = route.groups[group]?.members.find((one) => one.target === target);
      const { state } = target;
      const cost = estimatedCost(target, ranked);
      return {
        candidate: candidateMessage(target),
        eligible: refusal === undefined,
        reason: refusal ?? standing(group, route.groups[group]),
        weight: member?.weight ?? 1,
        inFlight: state.inFlight,
        latencyMs: faded(request.stream ? state.firstContent : state.whole, ranked.nowMs),
        ...(Number.isFinite(cost) ? { costNanos: BigInt(Math.round(cost)) } : {}),
      };
    });
    const { shadow } = route;
    return create(router.ExplainRouteResponseSchema, {
      candidates: verdicts,
      ...(shadow === undefined ? {} : { shadow: { shadow, ...shadowVerdict(routing, shadow, request, nowMs) } }),
    });
  };
}

function shadowVerdict(
  routing: Routing,
  shadow: Shadow,
  request: router.ExplainRouteRequest,
  nowMs: number,
): Pick<router.ShadowVerdict, "eligible" | "reason"> {
  const { groups } = routing.route(`${shadow.provider}/${shadow.model}`);
  const [target] = groups.flatMap(({ targets }) => targets);
  const refusal = target === undefined ? "nobody serves it" : refusalOf(target, request, nowMs);
  return {
    eligible: refusal === undefined,
    reason: refusal ?? `gets copies of ${shadow.share * 100} % of the requests`,
  };
}

function refusalOf(target: RoutedTarget, request: router.ExplainRouteRequest, nowMs: number): string | undefined {
  if (!providerNamed(request, target.provider)) return "its provider is not allowed";
  if (!regionNamed(request, target.region)) return "its region is not allowed";
  const { gate, state } = target;
  const available = availability(state.health, nowMs);
  if (typeof available === "string")
    return gate?.hasRoom(state.inFlight) === false ? "it has as many calls as it can take" : undefined;
  return `left alone for ${Math.ceil(available.waitMs / 1000)} s: ${available.reason}`;
}

function standing(group: number, { strategies }: Pick<Group, "strategies"> = { strategies: ["priority"] }): string {
  const by = `by ${strategies.join(", then ")}`;
  return group > 0 ? `fallback ${group}, ${by}` : by;
}
