import type { RoutedTarget } from "../ports.ts";
import type { Attempting, CallContext, FlowDependencies, Started } from "./attempts.ts";
import { began } from "./target-health.ts";

/** @param apart whether it may be cancelled by itself */
export function launch<T>(
  dependencies: Pick<FlowDependencies, "clock">,
  target: RoutedTarget,
  attempt: number,
  context: CallContext,
  run: Attempting<T>["run"],
  apart: boolean,
): Started<T> {
  began(target);
  const startedMs = dependencies.clock.monotonicMs();
  if (!apart) return { target, attempt, startedMs, outcome: run(target, context), cancel: () => undefined };
  const own = new AbortController();
  const signal = AbortSignal.any([context.signal, own.signal]);
  return { target, attempt, startedMs, outcome: run(target, { ...context, signal }), cancel: () => own.abort() };
}
