import type { LimitOnPath } from "../domain/key-policy.ts";
import type { QueueTerms } from "../domain/limit-terms.ts";

/** A limit as it is read for a path. */
export const LIMIT_ON_PATH = `'id', l.id, 'place', l.place, 'per', l.per, 'unit', l.unit, 'amount', l.amount, 'windowMs', l.window_ms,
  'burst', l.burst, 'failClosed', l.fail_closed, 'only', l.only_for, 'queue', l.queue`;
export const BUDGET_ON_PATH = `'id', b.id, 'place', b.place, 'unit', b.unit, 'period', b.period, 'hard', b.hard, 'per', b.per,
  'maxIdenticalCalls', b.max_identical_calls`;

export interface LimitColumn extends Omit<LimitOnPath, "queue"> {
  readonly queue: QueueTerms | null;
}

/** @param workspace whose weight in a queue is the path's */
export const limitsOnPath = (limits: readonly LimitColumn[], workspace: string): LimitOnPath[] =>
  limits.map(({ queue, ...limit }) => ({
    ...limit,
    queue:
      queue === null
        ? undefined
        : {
            maxWaitMs: queue.maxWaitMs,
            maxLength: queue.maxLength,
            weight: Object.hasOwn(queue.weights, workspace) ? (queue.weights[workspace] as number) : 1,
          },
  }));
