/** The one place where an error becomes what a client of the facade sees. */
import { type DialectName, dialects } from "@weir/dialects";
import { catalogue, WeirError } from "@weir/kernel";
import type { FacadeDialect } from "../domain/shape.ts";

export interface ErrorResponse {
  readonly status: number;
  /** Rendered lines. */
  readonly headers: string;
  readonly body: string;
}

const dialectOf = (dialect: FacadeDialect | undefined): DialectName =>
  dialect === undefined || dialect === "openai-embeddings" ? "openai-chat" : dialect;

/** Whatever is not a WeirError is a defect: the client learns no more than that. */
export const publicError = (error: unknown): WeirError =>
  error instanceof WeirError ? error : new WeirError("internal", "Weir failed to answer.", { cause: error });

/** @param dialect undefined for a path that belongs to none: OpenAI's shape is the one most clients read */
export function errorResponse(error: WeirError, dialect: FacadeDialect | undefined, requestId: string): ErrorResponse {
  const entry = catalogue[error.reason];
  let headers = `content-type: application/json\r\nx-should-retry: ${entry.retry}\r\n`;
  if (error.retryAfterMs !== undefined) {
    headers += `retry-after: ${Math.ceil(error.retryAfterMs / 1000)}\r\nretry-after-ms: ${Math.ceil(error.retryAfterMs)}\r\n`;
  }
  const shown = advised(error, entry.advice);
  return {
    status: error.status,
    headers,
    body: JSON.stringify(dialects[dialectOf(dialect)].renderError(shown, requestId)),
  };
}

/** The event that ends a stream which already began. */
export function streamError(error: WeirError, dialect: FacadeDialect, requestId: string): Uint8Array {
  const entry = catalogue[error.reason];
  return Buffer.from(dialects[dialectOf(dialect)].renderStreamError(advised(error, entry.advice), requestId));
}

/** A provider's own words about the request say what to do; ours are followed by the catalogue's advice. */
function advised(error: WeirError, advice: string): WeirError {
  if (error.reason === "provider_rejected") return error;
  return new WeirError(error.reason, `${error.message} ${advice}`, {
    retryAfterMs: error.retryAfterMs,
    upstreamStatus: error.upstreamStatus,
    param: error.param,
    cause: error.cause,
  });
}
