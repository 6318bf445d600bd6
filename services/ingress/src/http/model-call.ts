/** Every route that reaches a model: read the request, run its flow, write its answer. The dialect is all that differs. */
import type { HttpHandler, HttpReply, HttpRequest } from "@weir/http1";
import type { Clock } from "@weir/kernel";
import type { Telemetry } from "@weir/telemetry";
import type { Output } from "../domain/call.ts";
import type { FacadeDialect } from "../domain/shape.ts";
import type { Finished } from "../events.ts";
import type { Complete } from "../flows/complete.ts";
import type { InFlight } from "../flows/in-flight.ts";
import type { Identify } from "../flows/identify.ts";
import type { Stream, StreamSink } from "../flows/stream.ts";
import { newTrail, type Trail } from "../flows/trail.ts";
import { errorResponse, publicError, streamError } from "./error-response.ts";
import { identityHeaders, resultHeaders, servedHeaders, streamHeaders, waitedHeader } from "./headers.ts";
import { limitHeaders } from "./limit-headers.ts";
import { type ClientIp, clientRequestIdOf, incomingOf, newRequestId, secretOf } from "./read-request.ts";

/** The flows a route may run; typed inputs and events are the RPC side's. */
export interface ModelFlows {
  readonly identify: Identify;
  readonly clientIp: ClientIp;
  readonly complete: Complete<never, unknown>;
  readonly embed: Complete<never, unknown>;
  readonly stream: Stream<never, unknown>;
  readonly finished: Finished;
  readonly inFlight: InFlight;
  readonly startSpan: Telemetry["startSpan"];
  /** For defects: what is not a WeirError. */
  readonly defect: (error: unknown, requestId: string) => void;
  readonly clock: Clock;
}

const SERVER_SPAN = { "http.request.method": "POST" };

const EVENT_STREAM =
  "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n";

const limitsOf = (trail: Trail): string => limitHeaders(trail.limits) + waitedHeader(trail);

export function modelCall(route: string, dialect: FacadeDialect, flows: ModelFlows): HttpHandler {
  const { identify, clientIp, complete, embed, stream, finished, inFlight, startSpan, defect, clock } = flows;
  const single = dialect === "openai-embeddings" ? embed : complete;

  function refuse(reply: HttpReply, trail: Trail, identity: string, failure: unknown): void {
    const error = publicError(failure);
    if (error.reason === "internal") defect(failure, trail.requestId);
    const response = errorResponse(error, dialect, trail.requestId);
    trail.status = response.status;
    trail.reason = error.reason;
    reply.send(response.status, response.headers + identity + limitsOf(trail) + resultHeaders(trail), response.body);
  }

  function answer(reply: HttpReply, trail: Trail, identity: string, output: Output<unknown>): void {
    if (output.kind !== "raw") throw new Error("a raw call was answered with a typed message");
    const headers = `content-type: ${output.contentType}\r\n${identity}${limitsOf(trail)}${resultHeaders(trail)}`;
    const retry = trail.result?.error?.retryAfterMs;
    reply.send(
      output.status,
      retry === undefined ? headers : `${headers}retry-after: ${Math.ceil(retry / 1000)}\r\n`,
      output.body,
    );
  }

  function sinkOf(reply: HttpReply, trail: Trail, identity: string): StreamSink<unknown> {
    return {
      start(served, dropped, headers) {
        reply.start(
          200,
          EVENT_STREAM +
            identity +
            limitsOf(trail) +
            streamHeaders(served) +
            servedHeaders(served, dropped, headers, trail.cache),
        );
      },
      frame: (bytes) => reply.write(bytes),
      event() {
        throw new Error("a raw call was answered with a typed event");
      },
      drained: () => reply.drained(),
      finish(terminal, error) {
        reply.end(
          terminal.length === 0 && error !== undefined ? streamError(error, dialect, trail.requestId) : terminal,
        );
      },
    };
  }

  async function run(request: HttpRequest, reply: HttpReply): Promise<void> {
    const requestId = newRequestId(clock.nowMs());
    const trail = newTrail(requestId, route, clock.monotonicMs());
    const identity = identityHeaders(requestId, clientRequestIdOf(request));
    const span = startSpan(route, SERVER_SPAN, request.header("traceparent"), "server");
    let started = false;
    const gone = new AbortController();
    inFlight.begin(trail, gone);
    try {
      const client = clientIp(request);
      const grant = identify(secretOf(request), client, route);
      trail.grant = grant;
      const incoming = incomingOf(request, client, route, dialect, requestId, grant, span.traceparent);
      reply.onClose(() => gone.abort());
      if (incoming.shape.stream && dialect !== "openai-embeddings") {
        const sink = sinkOf(reply, trail, identity);
        const failure = await stream(
          incoming,
          trail,
          {
            ...sink,
            start(served, dropped, headers) {
              started = true;
              sink.start(served, dropped, headers);
            },
          },
          gone.signal,
        );
        if (failure !== undefined) answer(reply, trail, identity, failure);
      } else {
        answer(reply, trail, identity, await single(incoming, trail, gone.signal));
      }
    } catch (error) {
      // After the first byte there is no status left to set, and an end that was not recorded must not look like one.
      if (started) {
        reply.abort();
        defect(error, requestId);
      } else refuse(reply, trail, identity, error);
    }
    inFlight.end(trail);
    finished(trail, clock.monotonicMs(), span);
  }

  return (request, reply) => {
    run(request, reply).catch((error: unknown) => {
      defect(error, "");
      reply.abort();
    });
  };
}
