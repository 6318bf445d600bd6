/** Providers that are asked now and then whether they are there, so that no request has to find out. */
import type { Clock } from "@weir/kernel";
import type { HealthCheck, RoutedTarget, RouterEvents, SharedHealth } from "../ports.ts";
import { checked } from "./target-health.ts";

/** One failure may be chance. */
const FAILURES = 2;
/** How many intervals a verdict holds: the next check comes before it ends. */
const HOLDS = 3;

export interface Checking {
  readonly clock: Clock;
  readonly shared: SharedHealth | undefined;
  readonly events: RouterEvents;
  /** All there are now. */
  targets(): Iterable<RoutedTarget>;
}

/** What one provider's checks say, one after the other. */
export function healthChecker(checking: Checking, check: HealthCheck): () => Promise<void> {
  let failures = 0;
  let running = false;
  return async () => {
    if (running) return;
    running = true;
    const passed = await check.passes();
    running = false;
    failures = passed ? 0 : failures + 1;
    if (!passed && failures < FAILURES) return;
    for (const target of checking.targets())
      if (target.provider === check.provider) checked(checking, target, passed, HOLDS * check.intervalMs);
  };
}

/** @returns ends them */
export function startHealthChecks(checking: Checking, checks: readonly HealthCheck[]): () => void {
  const timers = checks.map((check) => {
    const run = healthChecker(checking, check);
    return setInterval(() => void run(), check.intervalMs).unref();
  });
  return () => timers.forEach((timer) => clearInterval(timer));
}
