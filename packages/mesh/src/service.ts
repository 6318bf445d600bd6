import type { DescService } from "@bufbuild/protobuf";
import type { Client, ServiceImpl } from "@connectrpc/connect";

/** An implementation bound to its contract. Made by `route`, so that the pair is known to fit. */
export interface Route {
  readonly service: DescService;
  // The pair was checked by route(); a list of routes cannot say its many types.
  readonly implementation: Partial<ServiceImpl<DescService>>;
}

export function route<S extends DescService>(service: S, implementation: ServiceImpl<S>): Route {
  return { service, implementation: implementation as unknown as Partial<ServiceImpl<DescService>> };
}

/** Where a service finds the others: over the network or in this process, it cannot tell which. */
export interface Peers {
  client<S extends DescService>(service: S): Client<S>;
}

/** What a service's composition root returns; `services/standalone` and each `main.ts` run it. */
export interface Service extends AsyncDisposable {
  readonly name: string;
  readonly routes: readonly Route[];
  /** Resolves when background work runs; does not wait for other services, which may start later. */
  start(): Promise<void>;
  /** Why it cannot take requests right now; undefined when it can. */
  notReady(): string | undefined;
}
