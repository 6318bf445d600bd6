import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { router } from "@weir/contracts";
import { Secret } from "@weir/kernel";
import { inProcessPeers, networkPeers, serveRoutes, toConnectError } from "../src/index.ts";
import { type Connected, describePeers, type Implementation, type Kind, routeOf } from "./peers.contract.ts";

const localhost = { host: "127.0.0.1", port: 0 };
const token = new Secret("0123456789");

describePeers("in process", {
  returnCancels: true,
  connect: async (implementation) => ({
    client: inProcessPeers([routeOf(implementation)]).client(router.RouterService),
    async [Symbol.asyncDispose]() {},
  }),
});

describePeers("in process, with hooks", {
  returnCancels: true,
  connect: async (implementation) => ({
    client: inProcessPeers([routeOf(implementation)], { onServed: () => undefined }).client(router.RouterService),
    async [Symbol.asyncDispose]() {},
  }),
});

describePeers("our client, our server", {
  returnCancels: true,
  async connect(implementation) {
    const server = await serveRoutes([routeOf(implementation)], {
      listen: localhost,
      token,
      hooks: { onServed: () => undefined },
    });
    const peers = networkPeers({ addresses: () => `http://127.0.0.1:${server.port}`, token });
    return {
      client: peers.client(router.RouterService),
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        await server.close(0);
      },
    };
  },
});

describePeers("our client, our server, over a Unix socket", {
  returnCancels: true,
  async connect(implementation) {
    const directory = await mkdtemp(join(tmpdir(), "weir-mesh-"));
    const path = join(directory, "s");
    const server = await serveRoutes([routeOf(implementation)], { listen: { path } });
    const peers = networkPeers({ addresses: () => `unix:${path}` });
    return {
      client: peers.client(router.RouterService),
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        await server.close(0);
        await rm(directory, { recursive: true });
      },
    };
  },
});

/** What connect-node's router makes of an implementation of ours: it does not know WeirError. */
const converted = (implementation: Implementation): Implementation => {
  const { complete, streamComplete } = implementation;
  const own: Implementation = { ...implementation };
  if (complete !== undefined) {
    own.complete = async (request, context) => {
      try {
        return await complete(request, context);
      } catch (error) {
        throw toConnectError(error);
      }
    };
  }
  if (streamComplete !== undefined) {
    own.streamComplete = async function* (request, context) {
      try {
        yield* streamComplete(request, context);
      } catch (error) {
        throw toConnectError(error);
      }
    };
  }
  return own;
};

describePeers("our client, connect-node's server", {
  returnCancels: true,
  async connect(implementation): Promise<Connected> {
    const handler = connectNodeAdapter({
      routes: (routes) => routes.service(router.RouterService, converted(implementation)),
    });
    const server = http.createServer(handler).listen(0, "127.0.0.1");
    await once(server, "listening");
    const peers = networkPeers({ addresses: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    return {
      client: peers.client(router.RouterService),
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        server.closeAllConnections();
        server.close();
      },
    };
  },
});

const strangers: Record<string, (baseUrl: string) => Transport> = {
  "Connect over HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true }),
  "Connect over HTTP/1.1, compressed": (baseUrl) =>
    createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      useBinaryFormat: true,
      sendCompression: compressionGzip,
      compressMinBytes: 1,
    }),
  "Connect in JSON over HTTP/1.1": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect over HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  "gRPC over HTTP/2": (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
};

for (const [name, transportTo] of Object.entries(strangers)) {
  const kind: Kind = {
    returnCancels: false,
    async connect(implementation) {
      const server = await serveRoutes([routeOf(implementation)], { listen: localhost });
      return {
        client: createClient(router.RouterService, transportTo(`http://127.0.0.1:${server.port}`)),
        [Symbol.asyncDispose]: () => server.close(0),
      };
    },
  };
  describePeers(`connect-node's client (${name}), our server`, kind);
}
