/**
 * Every reason for which Weir refuses or fails a request. The names are stable and public: they are the `code` in error bodies and
 * equal ErrorReason in proto/weir/common/v1 (a test compares them).
 */
export interface CatalogueEntry {
  /** HTTP status of the facade. */
  readonly status: number;
  /** Name of the Connect/gRPC code of the RPC side. */
  readonly rpc:
    | "canceled"
    | "unknown"
    | "invalid_argument"
    | "deadline_exceeded"
    | "not_found"
    | "already_exists"
    | "permission_denied"
    | "resource_exhausted"
    | "failed_precondition"
    | "unimplemented"
    | "internal"
    | "unavailable"
    | "unauthenticated";
  /** Whether the same request may succeed later; official SDKs are told by `x-should-retry`. */
  readonly retry: boolean;
  /** What the caller can do about it. */
  readonly advice: string;
}

export const catalogue = {
  internal: { status: 500, rpc: "internal", retry: true, advice: "Tell the operator the request id." },
  invalid_request: { status: 400, rpc: "invalid_argument", retry: false, advice: "Correct the request." },
  unsupported: {
    status: 400,
    rpc: "unimplemented",
    retry: false,
    advice: "Use a model or a route that can do this, or leave it out.",
  },
  body_too_large: { status: 413, rpc: "invalid_argument", retry: false, advice: "Send a smaller body." },
  headers_too_large: { status: 431, rpc: "invalid_argument", retry: false, advice: "Send fewer or shorter headers." },
  not_found: { status: 404, rpc: "not_found", retry: false, advice: "Look at the path and the id." },
  method_not_allowed: { status: 405, rpc: "unimplemented", retry: false, advice: "Use the method in `allow`." },
  request_timeout: { status: 408, rpc: "deadline_exceeded", retry: true, advice: "Send the request faster." },
  already_exists: { status: 409, rpc: "already_exists", retry: false, advice: "Use the one that exists." },
  missing_key: {
    status: 401,
    rpc: "unauthenticated",
    retry: false,
    advice: "Send a Weir key as `Authorization: Bearer …` or `x-api-key`.",
  },
  invalid_key: { status: 401, rpc: "unauthenticated", retry: false, advice: "Use a key made with `weir keys create`." },
  expired_key: { status: 401, rpc: "unauthenticated", retry: false, advice: "Ask for a new key." },
  key_revoked: {
    status: 401,
    rpc: "unauthenticated",
    retry: false,
    advice: "Use another key: this one was revoked, and its running requests with it.",
  },
  permission_denied: { status: 403, rpc: "permission_denied", retry: false, advice: "Ask for a key with this right." },
  model_not_found: { status: 404, rpc: "not_found", retry: false, advice: "Use a model listed by GET /v1/models." },
  model_not_allowed: {
    status: 403,
    rpc: "permission_denied",
    retry: false,
    advice: "Use a model that your key may use, or ask for it.",
  },
  rate_limited: { status: 429, rpc: "resource_exhausted", retry: true, advice: "Wait for `retry-after`." },
  budget_exceeded: {
    status: 429,
    rpc: "resource_exhausted",
    retry: false,
    advice: "Ask for a larger budget, or lower max_tokens so that the request fits.",
  },
  repeated_call: {
    status: 429,
    rpc: "resource_exhausted",
    retry: false,
    advice: "The run asks the same again and again: end it, or ask something else.",
  },
  guardrail_blocked: {
    status: 400,
    rpc: "invalid_argument",
    retry: false,
    advice: "Leave out what the guardrail named, or ask the operator about it.",
  },
  request_running: {
    status: 409,
    rpc: "already_exists",
    retry: true,
    advice: "Wait for `retry-after`: then its answer may be there.",
  },
  idempotency_mismatch: {
    status: 422,
    rpc: "invalid_argument",
    retry: false,
    advice: "Use a new Idempotency-Key for another request.",
  },
  answer_not_kept: {
    status: 409,
    rpc: "failed_precondition",
    retry: false,
    advice: "Use a new Idempotency-Key if it shall run once more, and be paid for once more.",
  },
  price_unknown: {
    status: 400,
    rpc: "failed_precondition",
    retry: false,
    advice: "Set a price for the model in weir.yaml, or use another.",
  },
  policy_unavailable: { status: 503, rpc: "unavailable", retry: true, advice: "Try again shortly." },
  audit_unavailable: { status: 503, rpc: "unavailable", retry: true, advice: "Try again shortly." },
  router_unavailable: { status: 503, rpc: "unavailable", retry: true, advice: "Try again shortly." },
  overloaded: { status: 503, rpc: "unavailable", retry: true, advice: "Try again shortly." },
  shutting_down: { status: 503, rpc: "unavailable", retry: true, advice: "Try again; another instance will answer." },
  client_closed: { status: 499, rpc: "canceled", retry: false, advice: "The client went away." },
  hedge_lost: {
    status: 499,
    rpc: "canceled",
    retry: false,
    advice: "Nothing: it tells of an attempt that another attempt of its request overtook.",
  },
  deadline_exceeded: { status: 504, rpc: "deadline_exceeded", retry: true, advice: "Allow more time." },
  provider_error: { status: 502, rpc: "unavailable", retry: true, advice: "Try again; the provider failed." },
  provider_unreachable: { status: 502, rpc: "unavailable", retry: true, advice: "Try again; the provider is away." },
  provider_timeout: { status: 504, rpc: "deadline_exceeded", retry: true, advice: "Try again, or allow more time." },
  provider_rate_limited: { status: 429, rpc: "resource_exhausted", retry: true, advice: "Wait for `retry-after`." },
  provider_quota: {
    status: 429,
    rpc: "resource_exhausted",
    retry: false,
    advice: "Tell the operator that the provider's quota is used up.",
  },
  provider_overloaded: { status: 503, rpc: "unavailable", retry: true, advice: "Wait for `retry-after`." },
  provider_auth: {
    status: 502,
    rpc: "failed_precondition",
    retry: false,
    advice: "Tell the operator that the provider refused Weir's credential.",
  },
  provider_rejected: { status: 400, rpc: "invalid_argument", retry: false, advice: "Correct the request." },
  provider_bad_response: { status: 502, rpc: "unavailable", retry: true, advice: "Try again." },
  stream_interrupted: { status: 502, rpc: "unavailable", retry: true, advice: "Send the request again." },
} as const satisfies Record<string, CatalogueEntry>;

export type Reason = keyof typeof catalogue;

export const isReason = (name: string): name is Reason => Object.hasOwn(catalogue, name);

export interface WeirErrorOptions {
  /** When trying again makes sense. */
  readonly retryAfterMs?: number | undefined;
  /** The provider's HTTP status, where one answered; a `provider_rejected` is shown with it. */
  readonly upstreamStatus?: number | undefined;
  /** The parameter at fault, as the caller wrote it: `messages[2].content`. */
  readonly param?: string | undefined;
  readonly cause?: unknown;
}

/** The one error that reaches callers. Its message is for them: it never holds a secret, a prompt or a stack. */
export class WeirError extends Error {
  override readonly name = "WeirError";
  readonly reason: Reason;
  readonly retryAfterMs: number | undefined;
  readonly upstreamStatus: number | undefined;
  readonly param: string | undefined;

  constructor(reason: Reason, message: string, options: WeirErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
    this.upstreamStatus = options.upstreamStatus;
    this.param = options.param;
  }

  /** HTTP status of the facade: the provider's own where it rejected the request, else the catalogue's. */
  get status(): number {
    const own = this.upstreamStatus;
    if (this.reason === "provider_rejected" && own !== undefined && own >= 400 && own < 500) return own;
    return catalogue[this.reason].status;
  }
}
