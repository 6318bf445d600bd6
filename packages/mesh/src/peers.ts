import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Secret } from "@weir/kernel";
import { TOKEN_HEADER } from "./token.ts";
import type { Hooks } from "./hooks.ts";
import { convertErrors } from "./serve.ts";
import type { Peers, Route } from "./service.ts";

export interface NetworkPeersOptions {
  /** "http://host:port" or "unix:/path" of a service. */
  readonly addresses: (service: DescService) => string;
  /** Shown to every peer. */
  readonly token?: Secret | undefined;
  readonly hooks?: Hooks | undefined;
}

/** Clients that call the implementations directly; `routes` may grow until a service is first called. */
export function inProcessPeers(routes: readonly Route[], _hooks?: Hooks): Peers {
  return {
    client<S extends DescService>(service: S): Client<S> {
      const transport = createRouterTransport((router) => {
        for (const route of routes) router.service(route.service, convertErrors(route));
      });
      return createClient(service, transport);
    },
  };
}

/** Clients over the network. */
export function networkPeers(options: NetworkPeersOptions): Peers & AsyncDisposable {
  return {
    client<S extends DescService>(service: S): Client<S> {
      const transport = createConnectTransport({
        baseUrl: options.addresses(service),
        httpVersion: "1.1",
        useBinaryFormat: true,
        interceptors: [
          (next) => (request) => {
            if (options.token !== undefined) request.header.set(TOKEN_HEADER, options.token.reveal());
            return next(request);
          },
        ],
      });
      return createClient(service, transport);
    },
    async [Symbol.asyncDispose]() {},
  };
}
