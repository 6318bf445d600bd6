import type { HttpHandler, HttpReply, HttpRequest } from "@weir/http1";
import { type Reason, WeirError } from "@weir/kernel";
import { errorResponse } from "./error-response.ts";
import { identityHeaders } from "./headers.ts";
import { clientRequestIdOf, newRequestId } from "./read-request.ts";
import type { FacadeRoute } from "./routes.ts";
import type { FacadeDialect } from "../domain/shape.ts";

/** The room that bodies take is free again as soon as some of them are answered. */
const NO_ROOM_RETRY_MS = 1_000;

/** Finds the route by its exact path; errors are told in the dialect of what the path looks like. */
export function createFront(routes: readonly FacadeRoute[], nowMs: () => number): HttpHandler {
  const exact = new Map(routes.map((route) => [`${route.method} ${route.path}`, route.handle]));

  function refuse(request: HttpRequest, reply: HttpReply, error: WeirError, dialect: FacadeDialect, extra = ""): void {
    const requestId = newRequestId(nowMs());
    const { status, headers, body } = errorResponse(error, dialect, requestId);
    reply.send(status, headers + extra + identityHeaders(requestId, clientRequestIdOf(request)), body);
  }

  function unrouted(request: HttpRequest, reply: HttpReply): void {
    const method = request.method === "HEAD" ? "GET" : request.method;
    const path = request.path;
    const fits = (route: FacadeRoute): boolean =>
      route.path === path || (route.below && path.startsWith(`${route.path}/`));
    const fitting = routes.filter(fits);
    const route = fitting.find((candidate) => candidate.method === method);
    if (route !== undefined) return route.handle(request, reply);
    const dialect = path.startsWith("/v1/messages") ? "anthropic-messages" : (fitting[0]?.dialect ?? "openai-chat");
    if (fitting.length > 0) {
      const allow = [...new Set(fitting.map((candidate) => candidate.method))].join(", ");
      const error = new WeirError("method_not_allowed", `${path} takes ${allow}.`);
      return refuse(request, reply, error, dialect, `allow: ${allow}\r\n`);
    }
    refuse(request, reply, new WeirError("not_found", "There is no such route."), dialect);
  }

  return (request, reply) => {
    const handle = exact.get(`${request.method} ${request.path}`);
    if (handle !== undefined) handle(request, reply);
    else unrouted(request, reply);
  };
}

/** What a client gets whose bytes are no request that can be read. */
export function badRequest(status: number, reason: Reason, message: string): { headers: string; body: string } {
  const retryAfterMs = status === 503 ? NO_ROOM_RETRY_MS : undefined;
  const error = new WeirError(reason, message, { upstreamStatus: status, retryAfterMs });
  const { headers, body } = errorResponse(error, undefined, "");
  return { headers, body };
}
