import { type Reason, WeirError } from "@weir/kernel";
import type { JsonObject } from "./core.ts";
import type { HeaderLookup, ProviderFailure } from "./dialect.ts";
import { retryAfterMs } from "./openai-errors.ts";

/** Cohere's errors have words only (https://docs.cohere.com/reference/errors); 498 is a blocked key, 499 a client that left. */
const MAX_MESSAGE = 2000;
const TRIAL = /trial key|calls? ?\/ ?month|monthly|billing|payment/i;
const TOO_LONG = /too many tokens|exceeds? the (?:maximum|context)|context length/i;

export function parseCohereError(status: number, body: JsonObject | undefined, headers: HeaderLookup): ProviderFailure {
  const said = typeof body?.message === "string" ? body.message.slice(0, MAX_MESSAGE) : "";
  const reason = reasonOf(status, said);
  const message =
    // What a provider says of a credential may quote it.
    reason === "provider_auth"
      ? "the provider refused Weir's credential"
      : said || `the provider answered with status ${status}`;
  const code = reason === "provider_rejected" && TOO_LONG.test(said) ? "context_length_exceeded" : undefined;
  return {
    error: new WeirError(reason, message, { upstreamStatus: status, retryAfterMs: retryAfterMs(headers) }),
    code,
  };
}

function reasonOf(status: number, said: string): Reason {
  if (status === 402 || (status === 429 && TRIAL.test(said))) return "provider_quota";
  if (status === 429) return "provider_rate_limited";
  if (status === 401 || status === 403 || status === 498) return "provider_auth";
  if (status === 503 || status === 529) return "provider_overloaded";
  if (status === 408 || status === 504) return "provider_timeout";
  return status >= 400 && status < 500 && status !== 499 ? "provider_rejected" : "provider_error";
}
