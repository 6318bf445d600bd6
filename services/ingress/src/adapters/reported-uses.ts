import type { Client } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import type { Grant } from "../domain/grant.ts";
import type { KeyUses } from "../ports.ts";

type PolicyClient = Pick<Client<typeof policy.PolicyService>, "reportUse">;

const REPORT_MS = 10_000;
const TIMEOUT_MS = 5_000;
/** The contract takes as many. */
const MOST_PER_REPORT = 4_096;

/**
 * Tells policy which keys were used since it was last told: to ten seconds, which is what is promised. By the identity of their grants, so
 * that a request pays for no look-up. Fails open: nothing waits for it, and what could not be told is told the next time.
 */
export class ReportedUses implements KeyUses, AsyncDisposable {
  readonly #client: PolicyClient;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #used = new Set<Grant>();
  #failing = false;

  constructor(client: PolicyClient, clock: Clock, onError: (error: unknown) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onError = onError;
    this.#timer = setInterval(() => void this.report(), REPORT_MS).unref();
  }

  used(grant: Grant): void {
    this.#used.add(grant);
  }

  /** Never rejects. */
  async report(): Promise<void> {
    const grants = [...this.#used];
    this.#used = new Set();
    const atMs = BigInt(this.#clock.nowMs());
    for (let at = 0; at < grants.length; at += MOST_PER_REPORT) {
      const part = grants.slice(at, at + MOST_PER_REPORT);
      try {
        await this.#client.reportUse(
          { uses: part.map(({ key }) => ({ keyId: key.id, atMs })) },
          { timeoutMs: TIMEOUT_MS },
        );
        this.#failing = false;
      } catch (error) {
        for (const grant of grants.slice(at)) this.#used.add(grant);
        // Once per outage.
        if (!this.#failing) this.#onError(error);
        this.#failing = true;
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.report();
  }
}
