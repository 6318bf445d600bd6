import { Code, ConnectError } from "@connectrpc/connect";
import { common } from "@weir/contracts";
import { catalogue, isReason, type Reason, WeirError } from "@weir/kernel";

/** Errors over the wire: the reason and what belongs to it travel as weir.common.v1.ErrorDetail; anything unknown is a bare `internal`. */

const CODES: Readonly<Record<(typeof catalogue)[Reason]["rpc"], Code>> = {
  canceled: Code.Canceled,
  invalid_argument: Code.InvalidArgument,
  deadline_exceeded: Code.DeadlineExceeded,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  permission_denied: Code.PermissionDenied,
  resource_exhausted: Code.ResourceExhausted,
  failed_precondition: Code.FailedPrecondition,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
  unavailable: Code.Unavailable,
  unauthenticated: Code.Unauthenticated,
};

/** For errors that carry no detail: those of the transport, and of peers that are not ours. */
const REASONS: Readonly<Record<Code, Reason>> = {
  [Code.Canceled]: "client_closed",
  [Code.Unknown]: "internal",
  [Code.InvalidArgument]: "invalid_request",
  [Code.DeadlineExceeded]: "deadline_exceeded",
  [Code.NotFound]: "not_found",
  [Code.AlreadyExists]: "already_exists",
  [Code.PermissionDenied]: "permission_denied",
  [Code.ResourceExhausted]: "overloaded",
  [Code.FailedPrecondition]: "invalid_request",
  [Code.Aborted]: "overloaded",
  [Code.OutOfRange]: "invalid_request",
  [Code.Unimplemented]: "unsupported",
  [Code.Internal]: "internal",
  [Code.Unavailable]: "overloaded",
  [Code.DataLoss]: "internal",
  [Code.Unauthenticated]: "invalid_key",
};

const numberOf = (reason: Reason): common.ErrorReason =>
  common.ErrorReason[reason.toUpperCase() as keyof typeof common.ErrorReason];

const reasonOf = (number: common.ErrorReason): Reason | undefined => {
  const name = common.ErrorReason[number]?.toLowerCase() ?? "";
  return isReason(name) ? name : undefined;
};

/** What a handler threw, as it goes to the caller. The cause stays here: it is for the log. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (!(error instanceof WeirError)) {
    return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
  }
  const detail = {
    reason: numberOf(error.reason),
    message: error.message,
    retryAfterMs: Math.min(0xffffffff, Math.max(0, Math.ceil(error.retryAfterMs ?? 0))),
    upstreamStatus: error.upstreamStatus ?? 0,
    param: error.param ?? "",
  };
  return new ConnectError(
    error.message,
    CODES[catalogue[error.reason].rpc],
    undefined,
    [{ desc: common.ErrorDetailSchema, value: detail }],
    error,
  );
}

/**
 * What a client of ours caught, as an error of the catalogue.
 * @param unavailable the reason for a peer that cannot be reached: `router_unavailable`, `policy_unavailable`, …
 */
export function fromConnectError(error: unknown, unavailable: Reason = "overloaded"): WeirError {
  if (error instanceof WeirError) return error;
  if (!(error instanceof ConnectError)) return new WeirError("internal", "internal error", { cause: error });
  // In process the original is still there.
  if (error.cause instanceof WeirError) return error.cause;
  const detail = error.findDetails(common.ErrorDetailSchema)[0];
  const known = detail === undefined ? undefined : reasonOf(detail.reason);
  if (detail !== undefined && known !== undefined) {
    return new WeirError(known, detail.message, {
      retryAfterMs: detail.retryAfterMs === 0 ? undefined : detail.retryAfterMs,
      upstreamStatus: detail.upstreamStatus === 0 ? undefined : detail.upstreamStatus,
      param: detail.param === "" ? undefined : detail.param,
      cause: error,
    });
  }
  const reason = error.code === Code.Unavailable ? unavailable : REASONS[error.code];
  // Only what was said about the caller's request is for the caller: the rest may name hosts and internals.
  const message =
    catalogue[reason].status < 500 && reason !== "client_closed" ? error.rawMessage : reason.replaceAll("_", " ");
  return new WeirError(reason, message, { cause: error });
}
