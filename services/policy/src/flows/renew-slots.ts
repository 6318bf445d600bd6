import { recordOfAttempt } from "../ports.ts";
import type { Limiter } from "./limiter.ts";

/** As many attempts as the router makes at most, that at an embedding included (see router.proto). */
const POSSIBLE_ATTEMPTS = 5;

/** What these requests and their attempts hold of concurrency limits is theirs for another lease. */
export const renewSlots = (limiter: Limiter, requestIds: readonly string[]): Promise<void> =>
  limiter.renew(
    requestIds.flatMap((id) => [
      id,
      ...Array.from({ length: POSSIBLE_ATTEMPTS }, (_, index) => recordOfAttempt(id, index + 1)),
    ]),
  );
