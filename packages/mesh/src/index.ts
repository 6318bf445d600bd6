export { type Codec, compileCodec } from "./codec.ts";
export { fromConnectError, toConnectError } from "./error-codec.ts";
export { type Health, healthPages } from "./health.ts";
export type { Hooks, ServedCall } from "./hooks.ts";
export { inProcessPeers } from "./in-process.ts";
export { networkPeers, type NetworkPeersOptions } from "./network.ts";
export { type RunningServer, serveRoutes, type ServeOptions } from "./serve.ts";
export { type Peers, type Route, route, type Service } from "./service.ts";
export { TOKEN_HEADER } from "./token.ts";
