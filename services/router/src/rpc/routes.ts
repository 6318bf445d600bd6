import { router } from "@weir/contracts";
import { type Route as RpcRoute, route } from "@weir/mesh";
import type { Call, ChatInput, EmbedInput } from "../domain/call.ts";
import type { Route } from "../domain/route-table.ts";
import type { FlowDependencies } from "../flows/attempts.ts";
import type { Caching } from "../flows/cached.ts";
import type { RoutedTarget, Upstream } from "../ports.ts";
import { cancelRpc } from "./cancel.ts";
import { completeRpc } from "./complete.ts";
import { countInputRpc } from "./count-input.ts";
import { embedRpc } from "./embed.ts";
import { explainRouteRpc } from "./explain-route.ts";
import { listModelsRpc } from "./list-models.ts";
import { providerHealthRpc } from "./provider-health.ts";
import { streamCompleteRpc } from "./stream-complete.ts";

/** What the RPCs know of the routing table in force. */
export interface Routing {
  readonly flow: FlowDependencies;
  /** The targets for a call, in order, and how it uses the cache. @throws WeirError model_not_found, model_not_allowed */
  choose(call: Call, input: ChatInput | EmbedInput, stream: boolean): Chosen;
  /** @throws WeirError model_not_found */
  route(model: string): Route<RoutedTarget>;
  listed(): readonly Route<RoutedTarget>[];
  targets(): Iterable<RoutedTarget>;
  upstreams(): readonly Upstream[];
  /** Streams that run, by request. */
  readonly streams: Map<string, AbortController>;
  /** Ends a stream that may run in another replica. Soon false where none says that it has it. Never rejects. */
  readonly cancelElsewhere: (requestId: string) => Promise<boolean>;
}

export interface Chosen {
  readonly targets: readonly RoutedTarget[];
  /** Undefined: not at all. */
  readonly caching: Caching | undefined;
}

export function routerRoutes(routing: Routing): readonly RpcRoute[] {
  return [
    route(router.RouterService, {
      complete: completeRpc(routing),
      streamComplete: streamCompleteRpc(routing),
      cancel: cancelRpc(routing),
      countInput: countInputRpc(routing),
      embed: embedRpc(routing),
      listModels: listModelsRpc(routing),
      providerHealth: providerHealthRpc(routing),
      explainRoute: explainRouteRpc(routing),
    }),
  ];
}
