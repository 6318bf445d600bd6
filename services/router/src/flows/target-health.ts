/** What attempts tell about their targets: health, times, how busy they are. */
import type { Clock, Reason, WeirError } from "@weir/kernel";
import { observed } from "../domain/peak-ewma.ts";
import {
  breakerState,
  checkFailed,
  checkPassed,
  failed,
  type Health,
  isFailureOfTarget,
  probing,
  succeeded,
  tooSlow,
  unprobed,
} from "../domain/health.ts";
import type { RoutedTarget, RouterEvents, SharedHealth } from "../ports.ts";

interface Dependencies {
  readonly clock: Clock;
  readonly events: RouterEvents;
  readonly shared: SharedHealth | undefined;
}

export function began(target: RoutedTarget): void {
  target.state.inFlight += 1;
  target.upstream.stats.inFlight += 1;
}

/** The target served. @param firstContentMs of a stream; undefined: it answered whole */
export function finishServed(
  dependencies: Dependencies,
  target: RoutedTarget,
  firstContentMs: number | undefined,
  durationMs: number,
): void {
  target.gate?.answered(firstContentMs !== undefined, firstContentMs ?? durationMs, target.state.inFlight);
  release(target);
  const { events, clock } = dependencies;
  const { state, upstream, slowMs } = target;
  const nowMs = clock.nowMs();
  const slow = slowMs !== undefined && (firstContentMs ?? durationMs) > slowMs;
  const tooMany = state.outcomes.note(slow, nowMs);
  if (slow && tooMany) state.outcomes.forget();
  learn(dependencies, target, slow && tooMany ? tooSlow(state.health, nowMs) : succeeded(state.health, nowMs));
  if (firstContentMs === undefined) state.whole = observed(state.whole, durationMs, clock.monotonicMs());
  else state.firstContent = observed(state.firstContent, firstContentMs, clock.monotonicMs());
  upstream.stats.succeeded += 1n;
  events.attempted(target, undefined, durationMs);
}

export function finishFailed(
  dependencies: Dependencies,
  target: RoutedTarget,
  error: WeirError,
  durationMs: number,
): void {
  if (SATURATED.has(error.reason)) target.gate?.overloaded();
  release(target);
  const { events, clock } = dependencies;
  const { health, outcomes } = target.state;
  const nowMs = clock.nowMs();
  const tooMany = isFailureOfTarget(error.reason) && outcomes.note(true, nowMs);
  if (tooMany) outcomes.forget();
  learn(dependencies, target, failed(health, error.reason, error.retryAfterMs, nowMs, tooMany));
  events.attempted(target, error, durationMs);
  if (error.reason === "client_closed" || error.reason === "provider_rejected") return;
  const { stats } = target.upstream;
  stats.failed += 1n;
  stats.lastFailureMs = nowMs;
  stats.lastError = error.reason;
}

/** Another one answered first. That it took at least so long is known; whether it would have answered is not. */
export function finishSuperseded(
  dependencies: Dependencies,
  target: RoutedTarget,
  stream: boolean,
  error: WeirError,
  durationMs: number,
): void {
  release(target);
  endProbe(dependencies, target);
  const { state } = target;
  const nowMs = dependencies.clock.monotonicMs();
  if (stream && durationMs > state.firstContent.valueMs)
    state.firstContent = observed(state.firstContent, durationMs, nowMs);
  if (!stream && durationMs > state.whole.valueMs) state.whole = observed(state.whole, durationMs, nowMs);
  dependencies.events.attempted(target, error, durationMs);
}

export function release(target: RoutedTarget): void {
  target.state.inFlight -= 1;
  target.upstream.stats.inFlight -= 1;
  target.gate?.admit(target.state.inFlight);
}

/** What a target with too many calls answers. */
const SATURATED: ReadonlySet<Reason> = new Set(["provider_overloaded", "provider_rate_limited", "provider_timeout"]);

/** Another replica knows soon. */
export const PROBED_ELSEWHERE_MS = 1_000;

/** Marked before the others are asked: of this replica's own requests, too, only one may. */
export async function beginProbe({ shared, events }: Dependencies, target: RoutedTarget): Promise<boolean> {
  target.state.health = probing(target.state.health);
  if (shared === undefined || (await shared.mayProbe(target))) {
    events.breaker(target, "half_open");
    return true;
  }
  target.state.health = unprobed(target.state.health);
  return false;
}

/** A probe that told nothing. */
export function endProbe({ shared, events }: Pick<Dependencies, "shared" | "events">, target: RoutedTarget): void {
  if (!target.state.health.probing) return;
  target.state.health = unprobed(target.state.health);
  events.breaker(target, breakerState(target.state.health));
  shared?.probed(target);
}

/** A health check of its provider. @param openMs how long one that fails is left alone, if nothing better is heard */
export function checked(
  dependencies: Pick<Dependencies, "clock" | "shared" | "events">,
  target: RoutedTarget,
  passed: boolean,
  openMs: number,
): void {
  const nowMs = dependencies.clock.nowMs();
  const { health } = target.state;
  learn(dependencies, target, passed ? checkPassed(health, nowMs) : checkFailed(health, nowMs, openMs));
}

/** Puts in force what an attempt showed, and lets the others know where they must. */
function learn(
  { shared, events }: Pick<Dependencies, "shared" | "events">,
  target: RoutedTarget,
  health: Health,
): void {
  const before = target.state.health;
  target.state.health = health;
  if (before === health) return;
  const state = breakerState(health);
  if (state !== breakerState(before)) events.breaker(target, state);
  if (shared === undefined) return;
  if (before.probing && !health.probing) shared.probed(target);
  if (before.openUntilMs !== health.openUntilMs || before.coolingUntilMs !== health.coolingUntilMs) shared.tell(target);
}
