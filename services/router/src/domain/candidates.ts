import { WeirError } from "@weir/kernel";
import { providerAllowed, type Residency } from "@weir/rules";
import type { Canary, Group, Route } from "./route-table.ts";
import { returningShare } from "./health.ts";
import { ranked, type Ranked, unit } from "./strategy.ts";
import type { Target } from "./target.ts";

/** Who may serve it (lists and names as in @weir/rules), and what decides in which order. */
export interface Choice extends Residency, Ranked {
  /** Uniform in [0, 1), for targets that come back. */
  readonly returning: number;
  /** Uniform in [0, 1), for canaries; a conversation draws its own. */
  readonly canary: number;
  /** On the clock of targets' health. */
  readonly healthMs: number;
}

/**
 * The targets to try, in order.
 * @param turn how often the route was used before
 * @throws WeirError model_not_allowed where none is permitted
 */
export function candidates<T extends Target>(route: Route<T>, turn: number, choice: Choice): readonly T[] {
  const only = route.groups.length === 1 ? route.groups[0] : undefined;
  const usual =
    only === undefined ? route.groups.flatMap((group) => orderOf(group, turn, choice)) : orderOf(only, turn, choice);
  const ordered = route.canary === undefined ? usual : withCanary(route.canary, usual, choice);
  if (allowsAll(choice)) return spared(ordered, choice);
  const permitted = ordered.filter(({ provider, region }) => providerAllowed(choice, provider, region));
  if (permitted.length === 0)
    throw new WeirError("model_not_allowed", `No provider that this key may use serves "${route.model}".`, {
      param: "model",
    });
  return spared(permitted, choice);
}

/** A conversation stays on the side that it began on. */
function withCanary<T extends Target>(
  { targets, share }: Canary<T>,
  usual: readonly T[],
  { canary, conversation }: Choice,
): readonly T[] {
  const drawn = conversation === "" ? canary : unit(`canary\n${conversation}`);
  return drawn < share ? [...targets, ...usual] : usual;
}

/** A target that comes back gets only a part of its requests: the others are the next one's, and it stays their reserve. */
function spared<T extends Target>(targets: readonly T[], { returning, healthMs }: Choice): readonly T[] {
  const [first, ...others] = targets;
  if (first === undefined || first.state.health.backAtMs === 0 || others.length === 0) return targets;
  return returning < returningShare(first.state.health, healthMs) ? targets : [...others, first];
}

const allowsAll = ({ allowedProviders, deniedProviders, allowedRegions, deniedRegions }: Residency): boolean =>
  allowedProviders.length + deniedProviders.length + allowedRegions.length + deniedRegions.length === 0;

// The order of one target, or by priority, needs no look at the request.
const orderOf = <T extends Target>(group: Group<T>, turn: number, choice: Choice): readonly T[] =>
  group.targets.length < 2 || (group.strategies[0] === "priority" && group.strategies.length === 1)
    ? group.targets
    : ranked(group.strategies, group.members, turn, choice);
