/** What a failed attempt is called, and what of it its client may see. */
import { type Reason, WeirError, type WeirErrorOptions } from "@weir/kernel";
import { billingOf, type Billing } from "./billing.ts";
import type { RawAnswer } from "./call.ts";

export interface AttemptFailure {
  readonly error: WeirError;
  /** 0: no answer. */
  readonly status: number;
  readonly billing: Billing;
  /** The provider's own code: "context_length_exceeded". */
  readonly code?: string | undefined;
  /** The provider's own words, where its client speaks the same dialect and they betray nothing. */
  readonly answer: RawAnswer | undefined;
}

export type TransportFailureKind =
  | "connect"
  | "timeout-connect"
  | "timeout-first-byte"
  | "timeout-idle"
  | "reset"
  | "protocol"
  | "cancelled"
  | "too-many"
  | "deadline"
  | "credential";

const TRANSPORT: Readonly<Record<TransportFailureKind, readonly [Reason, string]>> = {
  connect: ["provider_unreachable", "The provider cannot be reached."],
  "timeout-connect": ["provider_unreachable", "The provider took too long to accept a connection."],
  "timeout-first-byte": ["provider_timeout", "The provider took too long to answer."],
  "timeout-idle": ["provider_timeout", "The provider stopped in the middle of its answer."],
  reset: ["provider_error", "The provider broke the connection."],
  protocol: ["provider_bad_response", "The provider's answer is no valid HTTP."],
  cancelled: ["client_closed", "The client went away."],
  "too-many": ["overloaded", "Too many requests wait for this provider."],
  credential: ["provider_auth", "There is no credential for the provider."],
  deadline: ["deadline_exceeded", "The time for this request is over."],
};

export function transportFailure(kind: TransportFailureKind, sent: boolean): AttemptFailure {
  const [reason, message] = TRANSPORT[kind];
  return {
    error: new WeirError(reason, message),
    status: 0,
    billing: billingOf({ sent, status: 0 }),
    answer: undefined,
  };
}

export function answeredFailure(error: WeirError, status: number, answer?: RawAnswer, code?: string): AttemptFailure {
  return { error, status, billing: billingOf({ sent: true, status }), answer, code };
}

/** About Weir's own account with the provider: the provider's words would tell of it. */
const OURS: Partial<Record<Reason, string>> = {
  provider_auth: "The provider refused Weir's credential.",
  provider_quota: "Weir's quota with the provider is used up.",
};

/**
 * Organizations, projects and accounts as providers write them, and what looks like a key: made by machines, so that there is a digit or
 * a capital in it ("user_preferences" is a name that people give).
 */
const ACCOUNT =
  /\b(?:org|proj|acct|user|wrkspc|sk|pk|gsk|xai|key)[-_](?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{8,}|\bprojects\/(?:\d{6,}|[a-z][a-z0-9-]{4,28}[a-z0-9](?=\/locations))|\barn:aws[\w-]*:[\w-]*:[\w-]*:\d{12}:[\w./:-]+|\bAIza[\w-]{20,}/g;

/** A provider's words without the names of Weir's accounts with it; the rest says what is wrong. JSON stays JSON. */
export const withoutAccounts = (text: string): string => text.replace(ACCOUNT, "[hidden]");

/** The error as its client may see it. @param betrays whether a text holds the credential itself */
export function shown(error: WeirError, betrays: (text: string) => boolean): WeirError {
  const own = OURS[error.reason];
  const said = withoutAccounts(error.message);
  if (own === undefined && said === error.message && !betrays(said)) return error;
  const options: WeirErrorOptions = {
    retryAfterMs: error.retryAfterMs,
    upstreamStatus: error.upstreamStatus,
    param: error.param,
    cause: error,
  };
  const bare = betrays(error.message) ? "The provider refused the request or failed." : said;
  return new WeirError(error.reason, own ?? bare, options);
}
