import { once } from "node:events";
import http from "node:http";
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { HttpAddress } from "@weir/http1";
import type { Secret } from "@weir/kernel";
import { toConnectError } from "./error-codec.ts";
import type { Hooks } from "./hooks.ts";
import type { Route } from "./service.ts";

export interface ServeOptions {
  readonly listen: HttpAddress;
  /** What callers must show in `x-weir-mesh-token`; without it everybody may call. */
  readonly token?: Secret | undefined;
  /** Services that need no mesh token: they authenticate their callers by themselves. */
  readonly exempt?: readonly DescService[] | undefined;
  /** Services whose requests are checked against the rules in their contract (protovalidate): those that strangers may call. */
  readonly validate?: readonly DescService[] | undefined;
  readonly hooks?: Hooks | undefined;
  /** Of one message. Default 32 MiB. */
  readonly maxMessageBytes?: number | undefined;
}

export interface RunningServer extends AsyncDisposable {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Stops accepting, finishes what is in flight, cuts what is left after `drainMs`. */
  close(drainMs: number): Promise<void>;
}

export function convertErrors(route: Route): Partial<ServiceImpl<DescService>> {
  const converted: Record<string, unknown> = {};
  for (const method of route.service.methods) {
    const implementation = Reflect.get(route.implementation, method.localName) as
      | ((...args: unknown[]) => unknown)
      | undefined;
    if (implementation === undefined) continue;
    converted[method.localName] =
      method.methodKind === "server_streaming"
        ? async function* (...args: unknown[]) {
            try {
              yield* implementation.apply(route.implementation, args) as AsyncIterable<unknown>;
            } catch (error) {
              throw toConnectError(error);
            }
          }
        : async (...args: unknown[]) => {
            try {
              return await implementation.apply(route.implementation, args);
            } catch (error) {
              throw toConnectError(error);
            }
          };
  }
  return converted as Partial<ServiceImpl<DescService>>;
}

/** Serves the routes to Connect, gRPC and gRPC-web clients on one port. */
export async function serveRoutes(routes: readonly Route[], options: ServeOptions): Promise<RunningServer> {
  const server = http.createServer(
    connectNodeAdapter({
      routes: (router) => {
        for (const route of routes) router.service(route.service, convertErrors(route));
      },
    }),
  );
  server.listen(options.listen);
  await once(server, "listening");
  const address = server.address();
  const close = async (drainMs: number): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    const cut = setTimeout(() => server.closeAllConnections(), drainMs);
    await closed;
    clearTimeout(cut);
  };
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close,
    [Symbol.asyncDispose]: () => close(0),
  };
}
