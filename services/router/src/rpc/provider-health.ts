import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import { wireReason } from "./names.ts";
import type { Routing } from "./routes.ts";

export function providerHealthRpc(routing: Routing) {
  return (): router.ProviderHealthResponse => {
    const nowMs = routing.flow.clock.nowMs();
    const leftAlone = new Map<string, number>();
    for (const { provider, state } of routing.targets()) {
      const until = Math.max(state.health.coolingUntilMs, state.health.openUntilMs);
      if (until > nowMs) leftAlone.set(provider, Math.max(until, leftAlone.get(provider) ?? 0));
    }
    const providers = routing.upstreams().map(({ name, kind, stats }) => ({
      provider: name,
      kind,
      succeeded: stats.succeeded,
      failed: stats.failed,
      inFlight: stats.inFlight,
      lastFailureMs: BigInt(stats.lastFailureMs),
      lastError: stats.lastError === undefined ? 0 : wireReason(stats.lastError),
      coolingUntilMs: BigInt(Math.round(leftAlone.get(name) ?? 0)),
    }));
    return create(router.ProviderHealthResponseSchema, { providers });
  };
}
