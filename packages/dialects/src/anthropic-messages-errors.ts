import { type Reason, WeirError, type WeirErrorOptions } from "@weir/kernel";
import type { Json, JsonObject } from "./core.ts";
import type { HeaderLookup, ProviderFailure } from "./dialect.ts";
import { retryAfterMs } from "./openai-errors.ts";
import { isObject } from "./shape.ts";

/**
 * Anthropic's errors (https://platform.claude.com/docs/en/api/errors). A spent balance or spend limit comes as 400 or 402: it is a quota,
 * and waiting does not help.
 */
const QUOTA = /credit balance is too low|specified (?:workspace )?API usage limits|spend[_ ]limit/i;
const MAX_MESSAGE = 2000;

/** The status that an in-band error would have had. */
const STATUS_OF: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

/** A provider's non-2xx answer; `body` undefined where it was no JSON. */
export function parseMessagesError(
  status: number,
  body: JsonObject | undefined,
  headers: HeaderLookup,
): ProviderFailure {
  return classify(status, body?.error, retryAfterMs(headers));
}

/** The data of an `error` event. */
export function parseMessagesStreamError(body: JsonObject): ProviderFailure {
  const error = isObject(body.error) ? body.error : body;
  const type = typeof error.type === "string" ? error.type : "";
  return classify(Object.hasOwn(STATUS_OF, type) ? (STATUS_OF[type] ?? 500) : 500, error, undefined);
}

function classify(status: number, error: Json | undefined, retryAfter: number | undefined): ProviderFailure {
  const facts = isObject(error) ? error : {};
  const type = typeof facts.type === "string" ? facts.type : undefined;
  const said = typeof facts.message === "string" ? facts.message.slice(0, MAX_MESSAGE) : "";
  const details = isObject(facts.details) ? facts.details : {};
  const code = typeof details.error_code === "string" ? details.error_code : type;
  const reason = reasonOf(status, type, code, said);
  const options: WeirErrorOptions = { upstreamStatus: status, retryAfterMs: retryAfter };
  return { error: new WeirError(reason, messageOf(reason, status, said), options), code };
}

function reasonOf(status: number, type: string | undefined, code: string | undefined, said: string): Reason {
  if (status === 402 || type === "billing_error" || (status >= 400 && status < 500 && QUOTA.test(`${code} ${said}`)))
    return "provider_quota";
  if (status === 429) return "provider_rate_limited";
  if (status === 529 || status === 503 || type === "overloaded_error") return "provider_overloaded";
  if (status === 401 || status === 403) return "provider_auth";
  if (status === 408 || status === 504 || type === "timeout_error") return "provider_timeout";
  return status >= 400 && status < 500 ? "provider_rejected" : "provider_error";
}

function messageOf(reason: Reason, status: number, said: string): string {
  // What a provider says of a credential may quote it.
  if (reason === "provider_auth") return "the provider refused Weir's credential";
  return said === "" ? `the provider answered with status ${status}` : said;
}

/**
 * Anthropic's error object. `code` is the reason of Weir's catalogue, or the provider's own code where it rejected the request; the
 * official SDK shows it as `errorCode`, from `details.error_code`.
 */
export function renderMessagesError(error: WeirError, requestId: string, providerCode?: string): JsonObject {
  const own = error.reason === "provider_rejected" ? providerCode : undefined;
  const code = own ?? error.reason;
  const rendered: JsonObject = { type: typeOf(error), message: error.message, code, details: { error_code: code } };
  if (error.param !== undefined) rendered.param = error.param;
  return { type: "error", error: rendered, request_id: requestId };
}

function typeOf(error: WeirError): string {
  switch (error.status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return error.status >= 500 ? "api_error" : "invalid_request_error";
  }
}
