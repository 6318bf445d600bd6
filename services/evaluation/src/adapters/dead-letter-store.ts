import { BusUnavailableError, type DeadLetters } from "@weir/events";
import { WeirError } from "@weir/kernel";
import type { DeadLetterStore } from "../ports.ts";

/** For operators: while the store is away it says so, as every other one does. */
export function deadLetterStore(letters: Omit<DeadLetters, keyof AsyncDisposable>): DeadLetterStore {
  const told = async <T>(task: Promise<T>): Promise<T> => {
    try {
      return await task;
    } catch (cause) {
      if (!(cause instanceof BusUnavailableError)) throw cause;
      throw new WeirError("overloaded", "The store of dead letters is away.", { cause });
    }
  };
  return {
    put: (put) => told(letters.put(put)),
    list: (after, limit) => told(letters.list(after, limit)),
    get: (id) => told(letters.get(id)),
    drop: (id) => told(letters.drop(id)),
  };
}
