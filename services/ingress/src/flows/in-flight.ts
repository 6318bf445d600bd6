import { WeirError } from "@weir/kernel";
import type { Trail } from "./trail.ts";

/** The requests that run: so that what they write to is closed after them, and a key that was revoked with its requests ends them. */
export class InFlight {
  readonly #running = new Map<Trail, AbortController>();
  #whenNone: (() => void) | undefined;

  /** @param gone what ends it: a WeirError as the reason is what its caller gets */
  begin(trail: Trail, gone: AbortController): void {
    this.#running.set(trail, gone);
  }

  end(trail: Trail): void {
    this.#running.delete(trail);
    if (this.#running.size === 0) this.#whenNone?.();
  }

  /** Seldom, so all that runs is looked at. */
  endThoseOf(keyIds: ReadonlySet<string>): void {
    if (keyIds.size === 0) return;
    for (const [{ grant }, gone] of this.#running) {
      if (grant !== undefined && keyIds.has(grant.key.id))
        gone.abort(new WeirError("key_revoked", "This key was revoked while its request ran."));
    }
  }

  /** Resolves when none is left, or the time is over. */
  async none(withinMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#whenNone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
