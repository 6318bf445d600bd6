import { WeirError } from "@weir/kernel";
import { isUnavailable } from "@weir/storage";

/** The error as callers are to see it: an outage is named, anything else stays what it is. */
export function asUnavailable(error: unknown): unknown {
  if (!isUnavailable(error)) return error;
  return new WeirError("audit_unavailable", "The audit log's database is away.", { retryAfterMs: 1_000, cause: error });
}
