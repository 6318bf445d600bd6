import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromHttpStatus, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { HttpClientError, type ResponseHeaders } from "@weir/http1";

export const cancelled = (): ConnectError => new ConnectError("the call was cancelled", Code.Canceled);

/** A failed exchange as the caller of an RPC sees it. The cause says whether anything may have been sent. */
export function fromExchange(error: HttpClientError): ConnectError {
  const code =
    error.kind === "cancelled" ? Code.Canceled : error.kind === "protocol" ? Code.Internal : Code.Unavailable;
  return new ConnectError(error.message, code, undefined, undefined, error);
}

/** @throws nothing: what cannot be read becomes an error, too */
export function fromErrorBody(status: number, headers: ResponseHeaders, body: Buffer): ConnectError {
  const metadata = headersOf(headers);
  const fallback = new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status), metadata);
  if (!(headers.get("content-type") ?? "").startsWith("application/json")) return fallback;
  try {
    return errorFromJsonBytes(body, metadata, fallback);
  } catch (error) {
    return ConnectError.from(error, fallback.code);
  }
}

export function headersOf(headers: ResponseHeaders): Headers {
  const made = new Headers();
  for (const line of headers.lines) {
    const colon = line.indexOf(":");
    made.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return made;
}
