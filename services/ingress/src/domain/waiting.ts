import { WeirError } from "@weir/kernel";

const MAX_WAIT = "x-weir-max-wait-ms";
const PRIORITY = "x-weir-priority";

export interface Waiting {
  /** Undefined: as long as the limit lets it. */
  readonly maxWaitMs: number | undefined;
  /** From 0 to 9; among those of its own workspace. */
  readonly priority: number;
}

/**
 * How a request wants to wait where a limit queues: `x-weir-max-wait-ms` (0: not at all) and `x-weir-priority` (0 to 9, among those of its own
 * workspace). Undefined: it said nothing.
 * @throws WeirError invalid_request
 */
export function waitingOf(header: (name: string) => string | null | undefined): Waiting | undefined {
  const wait = header(MAX_WAIT) ?? undefined;
  const priority = header(PRIORITY) ?? undefined;
  if (wait === undefined && priority === undefined) return undefined;
  return {
    maxWaitMs: wait === undefined ? undefined : wholeNumber(MAX_WAIT, wait, 600_000),
    priority: priority === undefined ? 0 : wholeNumber(PRIORITY, priority, 9),
  };
}

function wholeNumber(name: string, text: string, most: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Infinity;
  if (number <= most) return number;
  throw new WeirError("invalid_request", `${name} is a whole number from 0 to ${most}.`, { param: name });
}
