import { type Reason, WeirError, type WeirErrorOptions } from "@weir/kernel";
import type { Json, JsonObject } from "./core.ts";
import type { HeaderLookup, ProviderFailure } from "./dialect.ts";
import { isObject } from "./shape.ts";

/**
 * Failures of OpenAI and of what is compatible with it. A 429 is three things: a rate (wait), a quota (waiting does not help: never
 * retried), an overload; which one is said by the code, hardly ever by the status alone.
 */
const QUOTA = new Set([
  "insufficient_quota",
  "billing_hard_limit_reached",
  "billing_not_active",
  "insufficient_credits",
  "insufficient_balance",
  "credits_exhausted",
]);
const MAX_MESSAGE = 2000;

/** Status codes of in-band errors, which have none, by what their code or type starts with. */
const STATUS_OF: readonly (readonly [string, number])[] = [
  ["rate_limit", 429],
  ["tokens", 429],
  ["requests", 429],
  ["too_many_requests", 429],
  ["overloaded", 503],
  ["engine_overloaded", 503],
  ["server_overloaded", 503],
  ["service_unavailable", 503],
  ["timeout", 504],
  ["authentication", 401],
  ["invalid_api_key", 401],
  ["permission", 403],
  ["not_found", 404],
  ["model_not_found", 404],
  ["invalid", 400],
  ["validation", 422],
  ["context_length_exceeded", 400],
  ["content_policy_violation", 400],
  ["image_", 400],
  ["unsupported", 400],
  ["tool_use_failed", 400],
];

interface Facts {
  readonly message: string;
  readonly code: string | undefined;
  type: string | undefined;
  readonly param: string | undefined;
  readonly status: number | undefined;
  readonly moderated: boolean;
}

/** A provider's non-2xx answer; `body` undefined where it was no JSON. */
export function parseOpenAiError(status: number, body: JsonObject | undefined, headers: HeaderLookup): ProviderFailure {
  const facts = factsOf(body === undefined ? undefined : (body.error ?? body));
  // TGI: a text, with its type beside it.
  if (typeof body?.error === "string" && typeof body.error_type === "string") facts.type = body.error_type;
  return classify(status, facts, retryAfterMs(headers));
}

/** The error object of an in-band event: `error` of a chunk, of `response.failed`, or the `error` event itself. */
export function parseOpenAiStreamError(error: Json): ProviderFailure {
  const facts = factsOf(error);
  let status = facts.status;
  if (status === undefined) {
    const named = STATUS_OF.find(
      ([start]) => facts.code?.startsWith(start) === true || facts.type?.startsWith(start) === true,
    );
    status = named?.[1] ?? 500;
  }
  return classify(status, facts, undefined);
}

function factsOf(error: Json | undefined): Facts {
  const empty = {
    message: "",
    code: undefined,
    type: undefined,
    param: undefined,
    status: undefined,
    moderated: false,
  };
  if (typeof error === "string") return { ...empty, message: error.slice(0, MAX_MESSAGE) };
  if (!isObject(error)) return empty;
  const detail = error.message ?? error.detail ?? error.msg;
  const message = typeof detail === "string" ? detail : detail === undefined ? "" : JSON.stringify(detail);
  const text = (value: Json | undefined): string | undefined =>
    typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;
  const numbers = [error.status_code, error.code, error.status].map(Number);
  return {
    message: message.slice(0, MAX_MESSAGE),
    code: text(error.code),
    type: text(error.type),
    param: typeof error.param === "string" ? error.param : undefined,
    status: numbers.find((number) => number >= 400 && number <= 599),
    moderated: isObject(error.metadata) && Array.isArray(error.metadata.reasons),
  };
}

function classify(status: number, facts: Facts, retryAfter: number | undefined): ProviderFailure {
  const reason = reasonOf(status, facts);
  const options: WeirErrorOptions = { upstreamStatus: status, retryAfterMs: retryAfter, param: facts.param };
  return {
    error: new WeirError(reason, messageOf(reason, status, facts.message), options),
    code: facts.code ?? facts.type,
  };
}

function reasonOf(status: number, facts: Facts): Reason {
  const { code, type } = facts;
  const quota = (code !== undefined && QUOTA.has(code)) || (type !== undefined && QUOTA.has(type));
  if (status === 402 || (quota && status >= 400)) return "provider_quota";
  // TGI's queue is full, Mistral's tier has no capacity for a model: neither is a rate of one's own.
  if (status === 429 && (type === "overloaded" || code === "3505")) return "provider_overloaded";
  if (status === 429) return "provider_rate_limited";
  // OpenRouter answers 403 for a prompt that its moderation flagged.
  if (status === 403 && facts.moderated) return "provider_rejected";
  if (status === 401 || status === 403) return "provider_auth";
  // 498 is Groq's "flex tier capacity exceeded", 529 Anthropic's overload, seen through aggregators.
  if (status === 503 || status === 529 || status === 498) return "provider_overloaded";
  if (status === 408 || status === 504 || status === 524) return "provider_timeout";
  if (status >= 400 && status < 500) return "provider_rejected";
  if (/overloaded/.test(`${code} ${type}`)) return "provider_overloaded";
  return "provider_error";
}

function messageOf(reason: Reason, status: number, said: string): string {
  // What a provider says of a credential may quote it.
  if (reason === "provider_auth") return "the provider refused Weir's credential";
  return said === "" ? `the provider answered with status ${status}` : said;
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date (counted from the answer's own `date`). */
export function retryAfterMs(headers: HeaderLookup): number | undefined {
  const precise = Number(headers("retry-after-ms") ?? Number.NaN);
  if (precise >= 0 && Number.isFinite(precise)) return Math.ceil(precise);
  const text = headers("retry-after");
  if (text === undefined || text.trim() === "") return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds >= 0 ? Math.ceil(seconds * 1000) : undefined;
  const wait = Date.parse(text) - Date.parse(headers("date") ?? "");
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

/**
 * OpenAI's error object for a client. `code` is the reason of Weir's catalogue; where the provider rejected the request it is the
 * provider's own code, which programs look at (`context_length_exceeded`). `type` follows the status, as OpenAI's do.
 */
export function renderOpenAiError(error: WeirError, providerCode?: string): JsonObject {
  const own = error.reason === "provider_rejected" ? providerCode : undefined;
  return { message: error.message, type: typeOf(error), param: error.param ?? null, code: own ?? error.reason };
}

function typeOf(error: WeirError): string {
  if (error.reason === "provider_quota" || error.reason === "budget_exceeded") return "insufficient_quota";
  switch (error.status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "service_unavailable_error";
    default:
      return error.status >= 500 ? "server_error" : "invalid_request_error";
  }
}
