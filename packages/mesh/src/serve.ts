import { setTimeout as sleep } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { type HttpAddress, serveHttp } from "@weir/http1";
import { type Secret, WeirError } from "@weir/kernel";
import { toConnectError } from "./error-codec.ts";
import { createFallback } from "./fallback.ts";
import { type FastMethod, fastMethod, isFast, serveFast } from "./fast-path.ts";
import { type Health, healthPages } from "./health.ts";
import type { Hooks } from "./hooks.ts";
import { servedMethods } from "./served.ts";
import type { Route } from "./service.ts";
import { TOKEN_HEADER, tokenCheck } from "./token.ts";
import { createCheck } from "./validation.ts";

/** Of messages that are being read or answered: also strangers may call the services that authenticate by themselves. */
const MAX_BUFFERED_BYTES = 536_870_912;
/**
 * Between "not ready" and the end of new connections. Peers ask every second (see pulse.ts), then go elsewhere and let go of idle connections: only
 * they know that nothing is on its way. What the kernel has accepted and we have not is lost when we stop listening.
 */
const NOTICE_MS = 2_000;

export interface ServeOptions {
  readonly listen: HttpAddress;
  /** What callers must show in `x-weir-mesh-token`; without it everybody on this machine may call, and nobody else. */
  readonly token?: Secret | undefined;
  /** Services that need no mesh token: they authenticate their callers by themselves. */
  readonly exempt?: readonly DescService[] | undefined;
  /** Services whose requests are checked against the rules in their contract (protovalidate): those that strangers may call. */
  readonly validate?: readonly DescService[] | undefined;
  readonly hooks?: Hooks | undefined;
  /** Answers GET /healthz, /readyz and /metrics over HTTP/1.1, without a token. */
  readonly health?: Health | undefined;
  /** Of one message. Default 32 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** Of a connection between calls; longer than every client's. Default 75 s. */
  readonly idleTimeoutMs?: number | undefined;
  /** How long it takes connections after it has said that it is not ready. Default 2 s; 0 where it has no peers. */
  readonly noticeMs?: number | undefined;
}

export interface RunningServer extends AsyncDisposable {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Says that it is not ready, stops accepting when peers had the time to notice (at most two seconds), finishes what is in flight, cuts what is left after `drainMs`. */
  close(drainMs: number): Promise<void>;
}

/**
 * Serves the routes on one port to clients of Connect, gRPC and gRPC-web, over HTTP/1.1 and HTTP/2 in clear text. Connect in binary over
 * HTTP/1.1, which our own clients speak, takes a short path (about a tenth of the cost); everything else goes to connect-node.
 * Token, validation, hooks and error codes are the same on both.
 * @throws Error where strangers could reach services that only the mesh's token protects, and there is none
 */
export async function serveRoutes(routes: readonly Route[], options: ServeOptions): Promise<RunningServer> {
  checkReach(routes, options);
  const maxMessageBytes = options.maxMessageBytes ?? 33_554_432;
  const authorizeHeader = authorizer(options);
  const check = options.validate === undefined ? undefined : createCheck();
  const methods = servedMethods(routes, {
    hooks: options.hooks,
    check: (route) => (options.validate?.includes(route.service) === true ? check : undefined),
  });
  const table = new Map<string, FastMethod>();
  for (const served of methods) {
    const service = served.desc.parent;
    const authorize = authorizeHeader(service);
    const path = `/${service.typeName}/${served.desc.name}`;
    table.set(path, fastMethod(served, authorize && ((head) => authorize(head.header(TOKEN_HEADER)))));
  }
  const fallback = createFallback(methods, {
    maxMessageBytes,
    authorize: (service, header) => authorizeHeader(service)?.(header.get(TOKEN_HEADER)),
  });
  let closing = false;
  const { health } = options;
  const notReady = (): ReturnType<Health["notReady"]> => (closing ? "shutting down" : health?.notReady());
  const pages = health === undefined ? undefined : healthPages({ ...health, notReady });
  const server = await serveHttp(
    (request, reply) => {
      const method = table.get(request.path);
      if (method !== undefined) return serveFast(method, request, reply);
      const page = pages?.get(request.path);
      if (page === undefined) throw new TypeError("a request that should have been diverted");
      page(request, reply);
    },
    {
      listen: options.listen,
      // A message and its envelope.
      maxBodyBytes: maxMessageBytes + 5,
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      ...(options.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: options.idleTimeoutMs }),
      onBadRequest: (_status, reason, message) => ({
        headers: "content-type: application/json\r\n",
        body: JSON.stringify({
          code: reason === "body_too_large" ? "resource_exhausted" : "invalid_argument",
          message,
        }),
      }),
      // Who may not call must not make us hold a message.
      checkHead: (head) => {
        const denied = table.get(head.path)?.authorize?.(head);
        return denied === undefined ? undefined : deniedAnswer(denied);
      },
      divert: (head) => {
        if (head === undefined) return fallback.takeHttp2;
        const method = table.get(head.path);
        if (method === undefined)
          return head.method === "GET" && pages?.has(head.path) ? undefined : fallback.takeHttp1;
        return isFast(method, head) ? undefined : fallback.takeHttp1;
      },
    },
  );
  const close = async (drainMs: number): Promise<void> => {
    closing = true;
    server.retire();
    const noticeMs = Math.min(options.noticeMs ?? NOTICE_MS, drainMs / 2);
    if (noticeMs > 0) await sleep(noticeMs);
    await Promise.all([server.close(drainMs - noticeMs), fallback.close(drainMs - noticeMs)]);
  };
  return { port: server.port, close, [Symbol.asyncDispose]: () => close(0) };
}

const deniedAnswer = (error: ConnectError) => ({
  status: codeToHttpStatus(error.code),
  headers: "content-type: application/json\r\n",
  body: errorToJsonBytes(error, undefined),
});

/** Who forgets the token must not find out by a bill: the router would call providers for everybody who can connect. */
function checkReach(routes: readonly Route[], { listen, token, exempt }: ServeOptions): void {
  if (token !== undefined || "path" in listen || isLoopback(listen.host)) return;
  const open = routes.find(({ service }) => exempt?.includes(service) !== true);
  if (open === undefined) return;
  throw new Error(`${open.service.typeName} would be open to all who reach ${listen.host}: set WEIR_MESH_TOKEN`);
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(?:\.\d+){3}$/.test(host);

type Authorize = (shown: string | null | undefined) => ConnectError | undefined;

function authorizer({ token, exempt }: ServeOptions): (service: DescService) => Authorize | undefined {
  if (token === undefined) return () => undefined;
  const isRight = tokenCheck(token);
  const authorize: Authorize = (shown) =>
    isRight(shown)
      ? undefined
      : toConnectError(new WeirError("invalid_key", `${TOKEN_HEADER} is not the token of this mesh`));
  return (service) => (exempt?.includes(service) === true ? undefined : authorize);
}
