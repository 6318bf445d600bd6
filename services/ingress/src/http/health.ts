import type { HttpHandler } from "@weir/http1";

const JSON_TYPE = "content-type: application/json\r\ncache-control: no-store\r\n";

/** The process runs its event loop: nothing more, so that an outage elsewhere gets no healthy instance killed. */
export const healthz: HttpHandler = (_request, reply) => reply.send(200, JSON_TYPE, '{"status":"ok"}');

/** @param notReady why requests should go elsewhere right now; empty when they may come */
export function readyz(notReady: () => readonly string[]): HttpHandler {
  return (_request, reply) => {
    const reasons = notReady();
    if (reasons.length === 0) reply.send(200, JSON_TYPE, '{"status":"ready"}');
    else reply.send(503, `${JSON_TYPE}retry-after: 1\r\n`, JSON.stringify({ status: "not ready", reasons }));
  };
}

export function metrics(
  source: { renderMetrics(): Promise<string>; readonly contentType: string },
  onError: (error: unknown) => void,
): HttpHandler {
  return (_request, reply) => {
    source.renderMetrics().then(
      (text) => reply.send(200, `content-type: ${source.contentType}\r\n`, text),
      (error: unknown) => {
        onError(error);
        reply.send(500, "content-type: text/plain\r\n", "metrics could not be read\n");
      },
    );
  };
}
