import type { Log } from "./config.ts";
import type { Settlement } from "./domain/ledger.ts";

/** What policy tells its operator: transitions, not each failure. Nothing here holds a key. */
export function policyEvents(log: Log) {
  const store = (name: string) => ({
    onAway: (err: unknown) => log.error({ err }, `${name} is away`),
    onBack: () => log.info({}, `${name} is back`),
  });
  return {
    directory: store("the policy directory"),
    limiter: {
      ...store("Redis"),
      onScriptsRefused: (err: unknown) =>
        log.error(
          { err },
          "Redis does not run the scripts that limits are made of: all requests under limits are refused",
        ),
    },
    onWaitingDefect: (err: unknown) => log.error({ err }, "defect in a line of waiting requests"),
    ledger: {
      ...store("the ledger"),
      onUnwritable: (err: unknown) =>
        log.error({ err }, "a batch cannot be written as a whole; its items go one by one"),
      onAdvanceFailed: (err: unknown) => log.warn({ err }, "the ledger's housekeeping failed; it will be tried again"),
    },
    onUsesUnwritten: (err: unknown) =>
      log.warn({ err }, "when keys were last used was not written; it will be tried again"),
    onCleanupFailed: (err: unknown) =>
      log.warn({ err }, "expired short-lived keys were not cleaned up; it will be tried again"),
    onAnswersUncleaned: (err: unknown) =>
      log.warn({ err }, "kept answers whose time is over were not removed; it will be tried again"),
    onBooksFailed: (err: unknown) =>
      log.warn({ err }, "old entries of the ledger were not forgotten; it will be tried again"),
    onWarningsFailed: (err: unknown) => log.warn({ err }, "warnings were not sent; it will be tried again"),
    onIssuerAway: (err: unknown) =>
      log.warn({ err }, "an issuer's keys cannot be fetched; its tokens are refused meanwhile"),
    onConnectionError: (err: Error) => log.warn({ err }, "a connection broke"),
    onAboveBound: ({ requestId, attempt, outcome }: Settlement) => {
      const charge =
        typeof outcome === "string" ? {} : { costNanos: String(outcome.costNanos), tokens: String(outcome.tokens) };
      log.error(
        { requestId, attempt, ...charge },
        "a charge is above what was held for it; its hard budgets are closed",
      );
    },
  };
}
