/**
 * What was found out of a target outlives the configuration that it came from, while it is the same account at the same place: a reload must
 * not send everybody back to a provider that is down, nor forget how many calls one can take.
 */
import type { ProviderConfig } from "@weir/config";
import { unprobed } from "../domain/health.ts";
import type { RoutedTarget } from "../ports.ts";

/** A target of the configuration before. */
export interface Known {
  readonly config: ProviderConfig;
  readonly target: RoutedTarget;
}

/**
 * @returns undefined: nothing of it holds. Where its room for calls is the same, too, both configurations' targets are one, calls under way
 * included; else it begins with the room that is configured, and none under way
 */
export function keptState(
  known: Known | undefined,
  config: ProviderConfig,
): (Pick<RoutedTarget, "state"> & { readonly gate: RoutedTarget["gate"] | "new" }) | undefined {
  if (known === undefined || !isSameAccount(known.config, config)) return undefined;
  const { state, gate } = known.target;
  if (hasSameRoom(known.config, config)) return { state, gate };
  // Its probe, if one is under way, is told to the other one.
  return { state: { ...state, health: unprobed(state.health), inFlight: 0 }, gate: "new" };
}

function isSameAccount(one: ProviderConfig, other: ProviderConfig): boolean {
  const of = ({ kind, baseUrl, region, apiKey, settings }: ProviderConfig): string =>
    JSON.stringify([
      kind,
      baseUrl ?? "",
      region ?? "",
      apiKey?.reveal() ?? "",
      Object.entries(settings)
        .map(([name, secret]) => JSON.stringify([name, secret.reveal()]))
        .toSorted((a, b) => (a < b ? -1 : 1)),
    ]);
  return of(one) === of(other);
}

const hasSameRoom = (one: ProviderConfig, other: ProviderConfig): boolean =>
  one.concurrency === other.concurrency &&
  one.queue?.length === other.queue?.length &&
  one.queue?.waitMs === other.queue?.waitMs;
