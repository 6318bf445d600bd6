/**
 * Second attempts of hedged requests: who makes one, and what is written down of who lost. Closed on failure: without a hold of its own, or
 * without a target that is known to be well, there is none.
 */
import { WeirError } from "@weir/kernel";
import type { Attempt, Call } from "../domain/call.ts";
import { availability } from "../domain/health.ts";
import type { Hedge } from "../domain/hedge.ts";
import type { HedgeEvent, RoutedTarget } from "../ports.ts";
import { attemptOf, notSent, supersededFailure } from "./attempt-record.ts";
import type { Attempting, CallContext, FlowDependencies, Outcome, Started } from "./attempts.ts";
import type { Lost } from "./hedge.ts";
import { launch } from "./launch.ts";
import { held, mustAsk, permit } from "./permit.ts";
import { finishFailed, finishSuperseded } from "./target-health.ts";
import { priceFor } from "./usage.ts";

/**
 * The next target that is well gets an attempt of its own.
 * @param wanted asked once more when it is held
 * @returns undefined: there is none; what was held for it is given back
 */
export async function beginRival<T>(
  dependencies: FlowDependencies,
  call: Call,
  context: CallContext,
  next: readonly RoutedTarget[],
  attempt: number,
  attempting: Attempting<T>,
  hedge: Hedge,
  wanted: () => boolean,
): Promise<Started<T> | undefined> {
  const nowMs = dependencies.clock.nowMs();
  // Probes are for requests that can wait for another target.
  const target = next.find(
    ({ state, gate }) => availability(state.health, nowMs) === "ready" && gate?.hasRoom(state.inFlight) !== false,
  );
  const { holds, events } = dependencies;
  const denied = (event: HedgeEvent): undefined => {
    events.hedged(call.model, event);
    return undefined;
  };
  if (target === undefined) return denied("no_target");
  if (!hedge.spend()) return denied("denied_by_share");
  const asks = mustAsk(call, attempt);
  if (asks) {
    const answers = (): number => attempting.answers();
    const refusal = await permit(holds, call, target, attempt, answers, priceFor(target, call, nowMs));
    if (refusal !== undefined) {
      hedge.refund();
      return denied("denied_by_hold");
    }
  }
  if (!wanted() || context.signal.aborted) {
    hedge.refund();
    if (asks) await holds.release(held(call, attempt));
    return denied("too_late");
  }
  const run = async (own: RoutedTarget, limits: CallContext): Promise<Outcome<T>> => {
    try {
      return await attempting.run(own, limits);
    } catch (error) {
      // It cannot be said in this one's dialect: nothing was sent, and the first attempt goes on.
      if (error instanceof WeirError) return { ok: false, failure: notSent(error) };
      throw error;
    }
  };
  events.hedged(call.model, "started");
  return launch(dependencies, target, attempt, context, run, true);
}

/** What became of the one who lost: its target is busy with it no more. */
export function lostAttempt<T>(
  dependencies: FlowDependencies,
  { started, failure, superseded }: Lost<T>,
  stream: boolean,
  hedge: Hedge,
): Attempt {
  const { target, attempt, startedMs } = started;
  const durationMs = dependencies.clock.monotonicMs() - startedMs;
  if (superseded || failure === undefined) {
    const told = supersededFailure(failure);
    hedge.note(stream, durationMs);
    finishSuperseded(dependencies, target, stream, told.error, durationMs);
    return attemptOf(target, attempt, told, durationMs);
  }
  finishFailed(dependencies, target, failure.error, durationMs);
  return attemptOf(target, attempt, failure, durationMs);
}
