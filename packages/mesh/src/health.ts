import type { HttpHandler } from "@weir/http1";

const JSON_TYPE = "content-type: application/json\r\ncache-control: no-store\r\n";

/** What a process tells whoever runs it, without a token: nothing of the traffic's content. */
export interface Health {
  /** Why requests should go elsewhere right now; empty or undefined when they may come. */
  notReady(): readonly string[] | string | undefined;
  readonly metrics?: { renderMetrics(): Promise<string>; readonly contentType: string } | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** `GET /healthz`, `/readyz` and, where there are any, `/metrics`: handlers by their path. */
export function healthPages(health: Health): ReadonlyMap<string, HttpHandler> {
  const pages = new Map<string, HttpHandler>([
    ["/healthz", healthz],
    ["/readyz", readyz(() => reasonsOf(health))],
  ]);
  if (health.metrics !== undefined) pages.set("/metrics", metrics(health.metrics, health.onError));
  return pages;
}

function reasonsOf(health: Health): readonly string[] {
  const reasons = health.notReady();
  if (reasons === undefined) return [];
  return typeof reasons === "string" ? [reasons] : reasons;
}

/** The process runs its event loop: nothing more, so that an outage elsewhere gets no healthy instance killed. */
const healthz: HttpHandler = (_request, reply) => reply.send(200, JSON_TYPE, '{"status":"ok"}');

function readyz(notReady: () => readonly string[]): HttpHandler {
  return (_request, reply) => {
    const reasons = notReady();
    if (reasons.length === 0) reply.send(200, JSON_TYPE, '{"status":"ready"}');
    else reply.send(503, `${JSON_TYPE}retry-after: 1\r\n`, JSON.stringify({ status: "not ready", reasons }));
  };
}

function metrics(
  source: { renderMetrics(): Promise<string>; readonly contentType: string },
  onError: ((error: unknown) => void) | undefined,
): HttpHandler {
  return (_request, reply) => {
    source.renderMetrics().then(
      (text) => reply.send(200, `content-type: ${source.contentType}\r\n`, text),
      (error: unknown) => {
        onError?.(error);
        reply.send(500, "content-type: text/plain\r\n", "metrics could not be read\n");
      },
    );
  };
}
