/**
 * A second attempt beside one that takes too long. Whoever answers first serves; the other is cancelled. Both were held, and both are told:
 * what a provider was asked for it may bill, so that the loser counts at its bound.
 */
import type { AttemptFailure } from "../domain/failure.ts";
import { decide } from "../domain/error-table.ts";
import type { Outcome, Started } from "./attempts.ts";

/** How the attempts of a race ended. */
export interface Raced<T> {
  /** Who served; where both failed, whose failure decides what follows. */
  readonly first: Started<T>;
  readonly outcome: Outcome<T>;
  /** The other one; undefined: there was none. */
  readonly lost: Lost<T> | undefined;
}

export interface Lost<T> {
  readonly started: Started<T>;
  /** Undefined: it was cancelled after it had answered. */
  readonly failure: AttemptFailure | undefined;
  /** It was cancelled because the other one had answered: that says nothing bad about its target. */
  readonly superseded: boolean;
}

/**
 * @param begin starts the second attempt if it is still wanted when it may be; undefined: there is none. Never rejects
 * @throws what the first attempt's `outcome` rejects with
 */
export async function raced<T>(
  first: Started<T>,
  afterMs: number,
  begin: (wanted: () => boolean) => Promise<Started<T> | undefined>,
): Promise<Raced<T>> {
  const timer = elapsed(afterMs);
  const early = await Promise.race([first.outcome, timer.over]);
  timer.clear();
  if (early !== undefined) return { first, outcome: early, lost: undefined };
  let wanted = true;
  const beginning = begin(() => wanted);
  // While policy is asked the first one may answer.
  const meanwhile = await Promise.race([first.outcome, beginning.then(() => undefined)]);
  if (meanwhile?.ok === true) {
    wanted = false;
    return { first, outcome: meanwhile, lost: undefined };
  }
  const second = await beginning;
  if (second === undefined) return { first, outcome: await first.outcome, lost: undefined };
  const soonest = await Promise.race([ended(first), ended(second)]);
  const other = soonest.started === first ? second : first;
  if (soonest.outcome.ok) {
    other.cancel();
    const end = await ended(other);
    const failure = end.outcome.ok ? undefined : end.outcome.failure;
    return { ...won(soonest), lost: { started: other, failure, superseded: true } };
  }
  const last = await ended(other);
  // A request that is wrong is not tried a third time, whatever the other one said.
  const decides = !last.outcome.ok && decide(soonest.outcome.failure.error.reason) === "give-up" ? soonest : last;
  const lost = decides === last ? soonest : last;
  const failure = lost.outcome.ok ? undefined : lost.outcome.failure;
  return { ...won(decides), lost: { started: lost.started, failure, superseded: false } };
}

interface Ended<T> {
  readonly started: Started<T>;
  readonly outcome: Outcome<T>;
}

const ended = async <T>(started: Started<T>): Promise<Ended<T>> => ({ started, outcome: await started.outcome });
const won = <T>({ started, outcome }: Ended<T>) => ({ first: started, outcome });

function elapsed(ms: number): { readonly over: Promise<undefined>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  return { over, clear: () => clearTimeout(timer) };
}
