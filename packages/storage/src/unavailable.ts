import pg from "pg";

// Postgres' classes and codes (appendix A of its manual) that say "not now", not "not like this".
const CLASSES = ["08", "53", "57", "58"];
const CODES = new Set([
  "25006", // read_only_sql_transaction: a standby, or a failover under way
  "55P03", // lock_not_available
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);
const NETWORK = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT", // a Unix socket whose server is away
]);
// What pg and ioredis say without a code.
const MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|Query read timeout|Connection is closed|Command timed out|Socket timeout|Stream isn't writeable|Reached the max retries per request|connect ETIMEDOUT|(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY) )/;

/**
 * Whether a store (Postgres or Redis) failed because it is away, overloaded or just restarting, so that the same call may succeed later.
 * False for what the call itself is to blame for: wrong SQL, a violated constraint, a missing right, a wrong password.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isUnavailable);
  if (!(error instanceof Error)) return false;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  if (error instanceof pg.DatabaseError && code !== undefined) {
    return CODES.has(code) || CLASSES.some((name) => code.startsWith(name));
  }
  if (code !== undefined && NETWORK.has(code)) return true;
  return MESSAGES.test(error.message) || (error.cause !== undefined && isUnavailable(error.cause));
}
