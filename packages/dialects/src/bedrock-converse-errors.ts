import { type Reason, WeirError } from "@weir/kernel";
import type { Json, JsonObject } from "./core.ts";
import type { HeaderLookup, ProviderFailure } from "./dialect.ts";
import { retryAfterMs } from "./openai-errors.ts";
import { isObject } from "./shape.ts";

/**
 * Errors of the Bedrock runtime (https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html): the exception's name is in
 * `x-amzn-errortype` or in `__type`, in a stream in the event itself. Throttling is a rate unless tokens of a day are used up: then waiting
 * seconds does not help.
 */
const EXCEPTIONS: Readonly<Record<string, readonly [status: number, reason: Reason]>> = {
  AccessDeniedException: [403, "provider_auth"],
  UnrecognizedClientException: [403, "provider_auth"],
  InvalidSignatureException: [403, "provider_auth"],
  IncompleteSignature: [400, "provider_auth"],
  SignatureDoesNotMatch: [403, "provider_auth"],
  ExpiredTokenException: [403, "provider_auth"],
  ExpiredToken: [403, "provider_auth"],
  MissingAuthenticationToken: [403, "provider_auth"],
  MissingAuthenticationTokenException: [403, "provider_auth"],
  OptInRequired: [403, "provider_auth"],
  ThrottlingException: [429, "provider_rate_limited"],
  ServiceQuotaExceededException: [400, "provider_quota"],
  ServiceUnavailableException: [503, "provider_overloaded"],
  ModelNotReadyException: [429, "provider_overloaded"],
  ModelTimeoutException: [408, "provider_timeout"],
  RequestTimeout: [408, "provider_timeout"],
  InternalServerException: [500, "provider_error"],
  InternalFailure: [500, "provider_error"],
  ModelErrorException: [424, "provider_error"],
  ModelStreamErrorException: [424, "provider_error"],
  ValidationException: [400, "provider_rejected"],
  ResourceNotFoundException: [404, "provider_rejected"],
};
const BY_LOWER = new Map(Object.entries(EXCEPTIONS).map(([name, known]) => [name.toLowerCase(), known]));

const DAILY = /tokens per day|daily .*(?:quota|limit)/i;
const TOO_LONG =
  /too many (?:input )?tokens|input is too long|maximum (?:context|input) (?:length|tokens)|prompt is too long|exceeds? the maximum (?:number of )?tokens/i;
const MAX_MESSAGE = 2000;

export function parseConverseError(
  status: number,
  body: JsonObject | undefined,
  headers: HeaderLookup,
): ProviderFailure {
  const type = nameOf(headers("x-amzn-errortype") ?? textOf(body?.__type));
  return classify(status, type, saidIn(body), retryAfterMs(headers));
}

/** @param type as the stream has it: "throttlingException" */
export function parseConverseException(type: string, data: string): ProviderFailure {
  const body = objectIn(data);
  const name = nameOf(type);
  // The stream's own error may tell of the model's status.
  const original = typeof body.originalStatusCode === "number" ? body.originalStatusCode : undefined;
  return classify(BY_LOWER.get(name.toLowerCase())?.[0] ?? original ?? 500, name, saidIn(body), undefined);
}

function objectIn(data: string): JsonObject {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : {};
  } catch {
    // Without words it is the same exception.
    return {};
  }
}

/** Without the namespace before it and the address after it: "com.amazon.coral#ThrottlingException:http://…". */
const nameOf = (type: string): string => (type.split(":")[0] ?? "").split("#").at(-1) ?? "";
const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const saidIn = (body: JsonObject | undefined): string =>
  (textOf(body?.message) || textOf(body?.Message) || textOf(body?.originalMessage)).slice(0, MAX_MESSAGE);

function classify(status: number, type: string, said: string, retryAfter: number | undefined): ProviderFailure {
  const reason = reasonOf(status, type, said);
  const message =
    // What a provider says of a credential may quote it.
    reason === "provider_auth"
      ? "the provider refused Weir's credential"
      : said || `the provider answered with status ${status}`;
  const code = reason === "provider_rejected" && TOO_LONG.test(said) ? "context_length_exceeded" : type || undefined;
  return { error: new WeirError(reason, message, { upstreamStatus: status, retryAfterMs: retryAfter }), code };
}

function reasonOf(status: number, type: string, said: string): Reason {
  const known = BY_LOWER.get(type.toLowerCase())?.[1];
  if (known === "provider_rate_limited" && DAILY.test(said)) return "provider_quota";
  if (known !== undefined) return known;
  if (status === 401 || status === 403) return "provider_auth";
  if (status === 402) return "provider_quota";
  if (status === 429) return DAILY.test(said) ? "provider_quota" : "provider_rate_limited";
  if (status === 503 || status === 529) return "provider_overloaded";
  if (status === 408 || status === 504) return "provider_timeout";
  return status >= 400 && status < 500 && status !== 424 ? "provider_rejected" : "provider_error";
}
