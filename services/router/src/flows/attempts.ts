import type { Clock, WeirError } from "@weir/kernel";
import { nanos, WeirError as Failure } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { Attempt, Call } from "../domain/call.ts";
import { decide, pauseMs } from "../domain/error-table.ts";
import type { AttemptFailure } from "../domain/failure.ts";
import { availability, type Health, spendRetry } from "../domain/health.ts";
import type { Attempted, Holds, RoutedTarget, SharedHealth, TokenCounter, Upstream } from "../ports.ts";
import { held, isAboutProvider, mustAsk, permit, soonest } from "./permit.ts";
import { priceFor } from "./usage.ts";
import type { Dialects, ProviderDialects } from "./prepare.ts";
import { began, beginProbe, endProbe, finishFailed, PROBED_ELSEWHERE_MS, release } from "./target-health.ts";

/** What every flow works with. */
export interface FlowDependencies {
  readonly dialects: Dialects;
  readonly wires: ProviderDialects;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly holds: Holds;
  readonly tokens: TokenCounter;
  readonly attempted: Attempted;
  /** Undefined: there is one replica. */
  readonly shared: SharedHealth | undefined;
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

const NOTHING = nanos(0n);

/** A request for which everything fails is not passed around for ever. */
const MAX_ATTEMPTS = 4; // as router.proto says, for ingresses that lose an account

/**
 * Calls one target after the other until one serves. The first attempt is held already; each further one is held before it is made, and
 * not made if that is refused. A target whose provider's limit has no room for it is passed over without an attempt. Whoever serves stays
 * marked as busy until `finish` is called for it.
 * @param answers how many answers were asked for, of what each attempt's bound is a multiple
 * @param run MUST NOT reject for what a provider does
 */
export async function tryInTurn<T>(
  dependencies: FlowDependencies,
  call: Call,
  context: CallContext,
  targets: readonly RoutedTarget[],
  answers: () => number,
  run: (target: RoutedTarget, attempt: number) => Promise<Outcome<T>>,
): Promise<Tried<T>> {
  const { clock } = dependencies;
  const failures: Attempt[] = [];
  let last: AttemptFailure | undefined;
  let refused: WeirError | undefined;
  let limited: WeirError | undefined;
  let previous: RoutedTarget | undefined;
  /** An account that says it has nothing left. */
  let spent: Upstream | undefined;
  let probed = false;
  let index = -1;
  // With one target only, it gets a second chance.
  const turns = targets.length === 1 ? 2 : targets.length;
  while (++index < turns) {
    const target = targets[index % targets.length];
    if (target === undefined) break;
    if (target.upstream === spent) continue;
    const nowMs = clock.nowMs();
    const available = availability(target.state.health, nowMs);
    if (typeof available === "object") {
      refused ??= leftAlone(target, available.waitMs, available.reason);
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
    const startedMs = clock.monotonicMs();
    began(target);
    let outcome: Outcome<T>;
    try {
      outcome = await run(target, attempt);
    } catch (error) {
      // The request itself is at fault (it cannot be said in this dialect): nothing was sent.
      release(target);
      endProbe(dependencies, target);
      if (attempt === 1 || !(error instanceof Failure)) throw error;
      // Earlier attempts must be settled, and this one's hold be given back.
      failures.push(attemptOf(target, attempt, { error, status: 0, billing: "nothing", answer: undefined }, 0));
      return { running: undefined, failures, error, last: undefined };
    }
    if (outcome.ok)
      return {
        running: { target, attempt, startedMs, price: priceFor(target, call, nowMs), value: outcome.value },
        failures,
        error: undefined,
        last: undefined,
      };
    const { failure } = outcome;
    const durationMs = clock.monotonicMs() - startedMs;
    finishFailed(dependencies, target, failure.error, durationMs);
    failures.push(attemptOf(target, attempt, failure, durationMs));
    last = failure;
    previous = target;
    const decision = decide(failure.error.reason);
    if (decision === "give-up" || failures.length >= MAX_ATTEMPTS) break;
    if (decision === "elsewhere") spent = target.upstream;
  }
  const error = last?.error ?? limited ?? refused ?? new Failure("client_closed", "The client went away.");
  return { running: undefined, failures, error, last };
}

function attemptOf(target: RoutedTarget, attempt: number, failure: AttemptFailure, durationMs: number): Attempt {
  return {
    provider: target.provider,
    model: target.model,
    region: target.region,
    attempt,
    status: failure.status,
    error: failure.error,
    usage: undefined,
    costNanos: NOTHING,
    billing: failure.billing,
    durationUs: Math.round(durationMs * 1000),
  };
}

function leftAlone(target: RoutedTarget, waitMs: number, reason: WeirError["reason"]): WeirError {
  const message = `${target.provider}/${target.model} is left alone for ${Math.ceil(waitMs / 1000)} s after it failed.`;
  return new Failure(reason, message, { retryAfterMs: Math.ceil(waitMs) });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
