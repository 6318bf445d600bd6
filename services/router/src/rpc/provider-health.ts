import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import type { Upstream } from "../ports.ts";
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
    // A provider's accounts are told as one.
    const providers = new Map<string, Upstream["stats"] & Pick<Upstream, "kind" | "origin" | "region" | "terms">>();
    for (const { name, kind, origin, region, terms, stats } of routing.upstreams()) {
      const so = providers.get(name);
      const last = so === undefined || stats.lastFailureMs > so.lastFailureMs ? stats : so;
      providers.set(name, {
        kind,
        origin,
        region,
        terms,
        succeeded: (so?.succeeded ?? 0n) + stats.succeeded,
        failed: (so?.failed ?? 0n) + stats.failed,
        inFlight: (so?.inFlight ?? 0) + stats.inFlight,
        lastFailureMs: last.lastFailureMs,
        lastError: last.lastError,
      });
    }
    const told = [...providers].map(([provider, stats]) => ({
      ...stats,
      provider,
      lastFailureMs: BigInt(stats.lastFailureMs),
      lastError: stats.lastError === undefined ? 0 : wireReason(stats.lastError),
      coolingUntilMs: BigInt(Math.round(leftAlone.get(provider) ?? 0)),
    }));
    return create(router.ProviderHealthResponseSchema, { providers: told });
  };
}
