import { type Clock, WeirError } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { Attempt, Call } from "../domain/call.ts";
import { decide, pauseMs } from "../domain/error-table.ts";
import type { AttemptFailure } from "../domain/failure.ts";
import type { Hedge } from "../domain/hedge.ts";
import type { TargetGate } from "../domain/target-gate.ts";
import { availability, type Health, spendRetry } from "../domain/health.ts";
import type { Holds, RoutedTarget, RouterEvents, SharedHealth, TokenCounter, Upstream } from "../ports.ts";
import { attemptOf, leftAlone, notSent, pause } from "./attempt-record.ts";
import { raced } from "./hedge.ts";
import { launch } from "./launch.ts";
import { beginRival, lostAttempt } from "./rival.ts";
import { held, isAboutProvider, mustAsk, permit, soonest } from "./permit.ts";
import { awaitTurn } from "./turn.ts";
import { priceFor } from "./usage.ts";
import type { Dialects, ProviderDialects } from "./prepare.ts";
import { beginProbe, endProbe, finishFailed, PROBED_ELSEWHERE_MS, release } from "./target-health.ts";

/** What every flow works with. */
export interface FlowDependencies {
  readonly dialects: Dialects;
  readonly wires: ProviderDialects;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly holds: Holds;
  readonly tokens: TokenCounter;
  readonly events: RouterEvents;
  /** Undefined: there is one replica. */
  readonly shared: SharedHealth | undefined;
  /** Of the model that the client named; undefined: its requests are not hedged. */
  readonly hedgeOf?: ((model: string) => Hedge | undefined) | undefined;
  /** The largest answer that is taken whole. */
  readonly maxAnswerBytes: number;
}

export interface CallContext {
  readonly signal: AbortSignal;
  /** On the monotonic clock; undefined: none. */
  readonly deadlineMs: number | undefined;
  /** Whether somebody still listens, though the call is cancelled: its account is told to its end. */
  readonly heard?: () => boolean;
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: AttemptFailure };

/** An attempt that is under way. */
export interface Started<T> {
  readonly target: RoutedTarget;
  readonly attempt: number;
  readonly startedMs: number;
  /** Rejects only for what is the request's own fault. */
  readonly outcome: Promise<Outcome<T>>;
  cancel(): void;
}

/** What is done to each target. */
export interface Attempting<T> {
  readonly stream: boolean;
  /** How many answers were asked for, of what each attempt's bound is a multiple. */
  answers(): number;
  /** MUST NOT reject for what a provider does. @param context its signal is the attempt's own */
  run(target: RoutedTarget, context: CallContext): Promise<Outcome<T>>;
}

export interface Running<T> {
  readonly target: RoutedTarget;
  readonly attempt: number;
  readonly startedMs: number;
  /** What it costs this caller; undefined: unknown. */
  readonly price: Price | undefined;
  readonly value: T;
}

export interface Tried<T> {
  /** Undefined: all failed; `error` says why. */
  readonly running: Running<T> | undefined;
  readonly failures: Attempt[];
  readonly error: WeirError | undefined;
  /** The last failure as its client may see it. */
  readonly last: AttemptFailure | undefined;
}

/** Room at a target that was waited for. */
interface Turn {
  readonly gate: TargetGate;
  taken: boolean;
}

/** A request for which everything fails is not passed around for ever. */
const MAX_ATTEMPTS = 4; // as router.proto says, for ingresses that lose an account

/**
 * Calls one target after the other until one serves. The first attempt is held already; each further one is held before it is made, and
 * not made if that is refused. A target whose provider's limit has no room for it is passed over without an attempt. Whoever serves stays
 * marked as busy until `finish` is called for it. Where the model is hedged, a target that takes too long gets a rival.
 */
export async function tryInTurn<T>(
  dependencies: FlowDependencies,
  call: Call,
  context: CallContext,
  targets: readonly RoutedTarget[],
  attempting: Attempting<T>,
): Promise<Tried<T>> {
  const hedge = dependencies.hedgeOf?.(call.model);
  hedge?.earn();
  const tried = await tryThose(dependencies, call, context, targets, attempting, hedge, undefined);
  const { full } = tried;
  if (full?.gate === undefined) return tried;
  const leftMs = (context.deadlineMs ?? Infinity) - dependencies.clock.monotonicMs();
  const priority = call.priority ?? 0;
  const waitingSinceMs = dependencies.clock.monotonicMs();
  const { end, error } = await awaitTurn(full.gate, priority, leftMs, context.signal);
  dependencies.events.queued(full, priority, end, dependencies.clock.monotonicMs() - waitingSinceMs);
  if (error !== undefined) return { running: undefined, failures: [], error, last: undefined };
  const turn: Turn = { gate: full.gate, taken: false };
  try {
    return await tryThose(dependencies, call, context, [full], attempting, hedge, turn);
  } finally {
    if (!turn.taken) {
      turn.gate.begun();
      turn.gate.admit(full.state.inFlight);
    }
  }
}

/** @returns `full`: nobody was asked, and this one could be but for its other calls */
async function tryThose<T>(
  dependencies: FlowDependencies,
  call: Call,
  context: CallContext,
  targets: readonly RoutedTarget[],
  attempting: Attempting<T>,
  hedge: Hedge | undefined,
  turn: Turn | undefined,
): Promise<Tried<T> & { readonly full?: RoutedTarget | undefined }> {
  const { clock } = dependencies;
  const answers = (): number => attempting.answers();
  const failures: Attempt[] = [];
  let last: AttemptFailure | undefined;
  let refused: WeirError | undefined;
  let limited: WeirError | undefined;
  let full: RoutedTarget | undefined;
  let previous: RoutedTarget | undefined;
  /** An account that says it has nothing left. */
  let spent: Upstream | undefined;
  let probed = false;
  let index = -1;
  /** Who was in a race already. */
  const rivals: RoutedTarget[] = [];
  // With one target only, it gets a second chance.
  const turns = targets.length === 1 ? 2 : targets.length;
  while (++index < turns) {
    const target = targets[index % targets.length];
    if (target === undefined) break;
    if (target.upstream === spent || rivals.includes(target)) continue;
    const nowMs = clock.nowMs();
    const available = availability(target.state.health, nowMs);
    if (typeof available === "object") {
      refused ??= leftAlone(target, available.waitMs, available.reason);
      continue;
    }
    const hasTurn = turn !== undefined && !turn.taken;
    if (!hasTurn && target.gate?.hasRoom(target.state.inFlight) === false) {
      full ??= target;
      continue;
    }
    const attempt = failures.length + 1;
    let afforded: Health | undefined;
    if (previous !== undefined) {
      afforded = spendRetry(previous.state.health, probed);
      if (afforded === undefined) break;
      if (target === previous) await pause(pauseMs(dependencies.random(), failures.length - 1), context.signal);
    }
    if (mustAsk(call, attempt)) {
      const refusal = await permit(dependencies.holds, call, target, attempt, answers, priceFor(target, call, nowMs));
      if (refusal !== undefined) {
        if (!isAboutProvider(refusal, call)) break;
        limited = soonest(limited, refusal);
        // Nothing has changed for the only one there is.
        if (targets.length === 1) break;
        continue;
      }
    }
    if (previous !== undefined && afforded !== undefined) previous.state.health = afforded;
    if (context.signal.aborted) {
      // The account of a call that is cancelled reaches nobody: what was just taken is given back from here. The first attempt's ends with its
      // request.
      if (attempt > 1 && mustAsk(call, attempt)) await dependencies.holds.release(held(call, attempt));
      break;
    }
    probed = available === "probe";
    if (probed && !(await beginProbe(dependencies, target))) {
      refused ??= leftAlone(target, PROBED_ELSEWHERE_MS, target.state.health.reason ?? "provider_error");
      if (attempt > 1 && mustAsk(call, attempt)) await dependencies.holds.release(held(call, attempt));
      continue;
    }
    const isHedged = hedge !== undefined && targets.length > 1 && failures.length + 2 <= MAX_ATTEMPTS;
    if (hasTurn) {
      turn.gate.begun();
      turn.taken = true;
    }
    const run: Attempting<T>["run"] = (own, limits) => attempting.run(own, limits);
    const first = launch(dependencies, target, attempt, context, run, isHedged);
    let served = first;
    let outcome: Outcome<T>;
    try {
      const afterMs = isHedged ? hedge.afterMs(attempting.stream) : undefined;
      if (hedge === undefined || afterMs === undefined) outcome = await first.outcome;
      else {
        const next = targets.slice(index + 1);
        const race = await raced(first, afterMs, (wanted) =>
          beginRival(dependencies, call, context, next, attempt + 1, attempting, hedge, wanted),
        );
        served = race.first;
        ({ outcome } = race);
        if (race.lost !== undefined) {
          rivals.push(served.target, race.lost.started.target);
          if (outcome.ok) dependencies.events.hedged(call.model, served === first ? "lost" : "won");
          failures.push(lostAttempt(dependencies, race.lost, attempting.stream, hedge));
        }
      }
    } catch (error) {
      // The request itself is at fault (it cannot be said in this dialect): nothing was sent.
      release(target);
      endProbe(dependencies, target);
      if (attempt === 1 || !(error instanceof WeirError)) throw error;
      // Earlier attempts must be settled, and this one's hold be given back.
      failures.push(attemptOf(target, attempt, notSent(error), 0));
      return { running: undefined, failures, error, last: undefined };
    }
    const durationMs = clock.monotonicMs() - served.startedMs;
    if (outcome.ok) {
      hedge?.note(attempting.stream, durationMs);
      const { startedMs } = served;
      const price = priceFor(served.target, call, nowMs);
      return {
        running: { target: served.target, attempt: served.attempt, startedMs, price, value: outcome.value },
        failures,
        error: undefined,
        last: undefined,
      };
    }
    const { failure } = outcome;
    finishFailed(dependencies, served.target, failure.error, durationMs);
    failures.push(attemptOf(served.target, served.attempt, failure, durationMs));
    last = failure;
    previous = served.target;
    const decision = decide(failure.error.reason);
    if (decision === "give-up" || failures.length >= MAX_ATTEMPTS) break;
    if (decision === "elsewhere") spent = served.target.upstream;
  }
  if (full !== undefined && failures.length === 0 && limited === undefined)
    return { running: undefined, failures, error: undefined, last: undefined, full };
  const error = last?.error ?? limited ?? refused ?? new WeirError("client_closed", "The client went away.");
  return { running: undefined, failures, error, last };
}
