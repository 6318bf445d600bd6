export { createHttpClient } from "./client.ts";
export { HttpClientError, type HttpClientErrorKind } from "./errors.ts";
export { Gather } from "./gather.ts";
export { headerLine } from "./head.ts";
export { serveHttp } from "./server.ts";
export type {
  CheckHead,
  ClientRequest,
  Divert,
  Exchange,
  HttpAddress,
  HttpClient,
  HttpClientOptions,
  HttpHandler,
  HttpReply,
  HttpRequest,
  HttpServer,
  HttpServerOptions,
  RenderedError,
  RequestHead,
  ResponseHeaders,
  ResponseSink,
} from "./types.ts";
