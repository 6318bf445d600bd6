import { WeirError } from "@weir/kernel";
import { providerAllowed, type Residency } from "@weir/rules";
import type { Group, Route } from "./route-table.ts";
import type { Target } from "./target.ts";

/** Who may serve it: lists and names as in @weir/rules. */
export interface Choice extends Residency {
  /** Uniform in [0, 1). */
  readonly draw: number;
  /** The most input tokens; 0: unknown. */
  readonly inputBound: number;
}

/**
 * The targets to try, in order.
 * @param turn how often the route was used before
 * @throws WeirError model_not_allowed where none is permitted
 */
export function candidates<T extends Target>(route: Route<T>, turn: number, choice: Choice): readonly T[] {
  const only = route.groups.length === 1 ? route.groups[0] : undefined;
  const ordered =
    only === undefined ? route.groups.flatMap((group) => orderOf(group, turn, choice)) : orderOf(only, turn, choice);
  if (allowsAll(choice)) return ordered;
  const permitted = ordered.filter(({ provider, region }) => providerAllowed(choice, provider, region));
  if (permitted.length === 0)
    throw new WeirError("model_not_allowed", `No provider that this key may use serves "${route.model}".`, {
      param: "model",
    });
  return permitted;
}

const allowsAll = ({ allowedProviders, deniedProviders, allowedRegions, deniedRegions }: Residency): boolean =>
  allowedProviders.length + deniedProviders.length + allowedRegions.length + deniedRegions.length === 0;

function orderOf<T extends Target>(group: Group<T>, turn: number, choice: Choice): readonly T[] {
  const { targets } = group;
  if (targets.length < 2) return targets;
  switch (group.strategy) {
    case "priority":
    case "cost":
      return targets;
    case "round-robin":
      return rotated(targets, turn % targets.length);
    case "weighted":
      return drawn(group, choice.draw);
    case "latency":
      // One that was not tried yet counts as fast, so that it gets tried.
      return [...targets].sort((one, other) => one.state.latencyMs - other.state.latencyMs);
    case "least-busy":
      return [...targets].sort((one, other) => one.state.inFlight - other.state.inFlight);
    case "capability":
      return targets.filter((target) => fits(target, choice)).concat(targets.filter((target) => !fits(target, choice)));
  }
}

const fits = ({ contextWindow }: Target, { inputBound }: Choice): boolean =>
  contextWindow === undefined || inputBound <= contextWindow;

const rotated = <T>(items: readonly T[], by: number): T[] => [...items.slice(by), ...items.slice(0, by)];

/** A weighted shuffle from one draw: what is left of it after a choice is again uniform. */
function drawn<T extends Target>(group: Group<T>, draw: number): T[] {
  const left = group.targets.map((target, index) => ({ target, weight: Math.max(0, group.weights[index] ?? 0) }));
  const order: T[] = [];
  let rest = draw;
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    // Weights of zero: reserves, in the order they stand.
    if (total === 0) return order.concat(left.map(({ target }) => target));
    let at = rest * total;
    let index = left.findIndex(({ weight }) => {
      if (at < weight) return true;
      at -= weight;
      return false;
    });
    if (index === -1) index = left.findLastIndex(({ weight }) => weight > 0);
    const [chosen] = left.splice(index, 1);
    if (chosen === undefined) return order;
    order.push(chosen.target);
    rest = Math.min(at / chosen.weight, 1 - Number.EPSILON);
  }
  return order;
}
