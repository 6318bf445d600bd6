import { type Reason, WeirError, type WeirErrorOptions } from "@weir/kernel";
import type { Json, JsonObject } from "./core.ts";
import type { HeaderLookup, ProviderFailure } from "./dialect.ts";
import { retryAfterMs } from "./openai-errors.ts";
import { isObject } from "./shape.ts";

/**
 * Google's errors: {error: {code, message, status, details}} (https://google.aip.dev/193). 429 RESOURCE_EXHAUSTED is a rate unless a quota
 * of the day, or of nothing at all, is used up: then waiting the minute that RetryInfo may say does not help.
 */
const MAX_MESSAGE = 2000;
const KEY_PROBLEM = /API[ _]key|API_KEY/i;

/** The last body that may be read: Google wraps errors of streams into a list. */
export function errorOf(body: Json | undefined): JsonObject | undefined {
  const inner = Array.isArray(body) ? body[0] : body;
  return isObject(inner) && isObject(inner.error) ? inner.error : undefined;
}

/** A provider's non-2xx answer; `body` undefined where it was no JSON. A list of one error comes as that error, or under "0". */
export function parseGenerateError(
  status: number,
  body: JsonObject | undefined,
  headers: HeaderLookup,
): ProviderFailure {
  return classify(status, errorOf(body) ?? errorOf(body?.["0"]) ?? {}, retryAfterMs(headers));
}

/** The `error` of a stream's chunk. */
export function parseGenerateStreamError(error: JsonObject): ProviderFailure {
  const { code } = error;
  const status = typeof code === "number" && code >= 400 && code <= 599 ? code : statusOf(error.status);
  return classify(status, error, undefined);
}

/** HTTP statuses of https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto. */
const STATUS_OF: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  INTERNAL: 500,
  UNKNOWN: 500,
  DATA_LOSS: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

const statusOf = (name: Json | undefined): number =>
  (typeof name === "string" && Object.hasOwn(STATUS_OF, name) ? STATUS_OF[name] : undefined) ?? 500;

function classify(status: number, error: JsonObject, retryAfter: number | undefined): ProviderFailure {
  const said = typeof error.message === "string" ? error.message.slice(0, MAX_MESSAGE) : "";
  const details = Array.isArray(error.details) ? error.details.filter(isObject) : [];
  const code = typeof error.status === "string" ? error.status : undefined;
  const reason = reasonOf(status, said, details);
  const options: WeirErrorOptions = { upstreamStatus: status, retryAfterMs: retryAfter ?? retryDelayMs(details) };
  return { error: new WeirError(reason, messageOf(reason, status, said), options), code };
}

function reasonOf(status: number, said: string, details: readonly JsonObject[]): Reason {
  const reasons = details.map((detail) => detail.reason);
  if (reasons.includes("API_KEY_INVALID") || (status === 400 && KEY_PROBLEM.test(said))) return "provider_auth";
  if (status === 402 || reasons.includes("BILLING_DISABLED")) return "provider_quota";
  if (status === 429) return quotaSpent(said, details) ? "provider_quota" : "provider_rate_limited";
  if (status === 401 || status === 403) return "provider_auth";
  if (status === 503) return "provider_overloaded";
  if (status === 408 || status === 504) return "provider_timeout";
  return status >= 400 && status < 500 && status !== 499 ? "provider_rejected" : "provider_error";
}

function quotaSpent(said: string, details: readonly JsonObject[]): boolean {
  for (const { violations } of details) {
    if (!Array.isArray(violations)) continue;
    for (const violation of violations.filter(isObject)) {
      if (typeof violation.quotaId === "string" && /PerDay/i.test(violation.quotaId)) return true;
      if (violation.quotaValue === "0") return true;
    }
  }
  return /\blimit: 0\b|prepayment credits are depleted/.test(said);
}

/** google.rpc.RetryInfo: "34s", "0.5s". */
function retryDelayMs(details: readonly JsonObject[]): number | undefined {
  for (const { retryDelay } of details) {
    const match = typeof retryDelay === "string" ? /^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(retryDelay) : null;
    if (match !== null) return Math.ceil(Number(match[1]) * 1000);
  }
  return undefined;
}

function messageOf(reason: Reason, status: number, said: string): string {
  // What a provider says of a credential may quote it.
  if (reason === "provider_auth") return "the provider refused Weir's credential";
  return said === "" ? `the provider answered with status ${status}` : said;
}

/** Google's error object. The reason of Weir's catalogue is in an ErrorInfo, as Google's own reasons are. */
export function renderGenerateError(error: WeirError, requestId: string, providerCode?: string): JsonObject {
  const details: JsonObject[] = [
    {
      "@type": "type.googleapis.com/google.rpc.ErrorInfo",
      reason: error.reason,
      domain: "weir",
      metadata: error.param === undefined ? {} : { param: error.param },
    },
    { "@type": "type.googleapis.com/google.rpc.RequestInfo", requestId },
  ];
  if (error.retryAfterMs !== undefined)
    details.push({
      "@type": "type.googleapis.com/google.rpc.RetryInfo",
      retryDelay: `${Math.ceil(error.retryAfterMs / 1000)}s`,
    });
  const own = error.reason === "provider_rejected" && Object.hasOwn(STATUS_OF, providerCode ?? "");
  return {
    error: {
      code: error.status,
      message: error.message,
      status: own ? (providerCode ?? "") : nameOf(error.status),
      details,
    },
  };
}

function nameOf(status: number): string {
  if (status === 413 || status === 422) return "INVALID_ARGUMENT";
  const known = Object.entries(STATUS_OF).find(([, code]) => code === status);
  return known?.[0] ?? (status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT");
}
