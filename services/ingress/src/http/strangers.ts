import type { CheckHead } from "@weir/http1";
import type { Clock } from "@weir/kernel";
import type { Telemetry } from "@weir/telemetry";
import type { Finished } from "../events.ts";
import type { Identify } from "../flows/identify.ts";
import { newTrail } from "../flows/trail.ts";
import { errorResponse, publicError } from "./error-response.ts";
import { identityHeaders } from "./headers.ts";
import { type ClientIp, clientRequestIdOf, newRequestId, secretOf } from "./read-request.ts";
import type { FacadeRoute } from "./routes.ts";

/** Smaller ones come with their head, or just behind it: their route refuses them, and keeps the connection. */
const SMALL_BYTES = 16_384;

/** Strangers must not make us hold a body: whose key is not known is refused before it is read. */
export function strangerCheck(
  routes: readonly FacadeRoute[],
  flows: {
    readonly identify: Identify;
    readonly clientIp: ClientIp;
    readonly finished: Finished;
    readonly startSpan: Telemetry["startSpan"];
    readonly clock: Clock;
  },
): CheckHead {
  const { identify, clientIp, finished, startSpan, clock } = flows;
  return (head) => {
    if (!head.chunked && head.contentLength <= SMALL_BYTES) return undefined;
    const route = routes.find(({ method, path }) => method === head.method && path === head.path);
    const name = route === undefined ? "" : `${route.method} ${route.path}`;
    try {
      identify(secretOf(head), clientIp(head), name);
      return undefined;
    } catch (failure) {
      const requestId = newRequestId(clock.nowMs());
      const trail = newTrail(requestId, name, clock.monotonicMs());
      const span = startSpan(name || head.method, {}, head.header("traceparent"), "server");
      const error = publicError(failure);
      const { status, headers, body } = errorResponse(error, route?.dialect, requestId);
      trail.status = status;
      trail.reason = error.reason;
      finished(trail, clock.monotonicMs(), span);
      return { status, headers: headers + identityHeaders(requestId, clientRequestIdOf(head)), body };
    }
  };
}
