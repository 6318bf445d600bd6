/**
 * Settlements on their way to policy. None is lost: what policy does not take is sent again, for ever, and is pending until then. Policy takes a
 * batch wholly or not at all, so one settlement that it cannot take must not hold up those beside it: a batch that is rejected, not merely
 * unanswered, is halved until that one stands alone. If policy calls it invalid, which it will be for ever, it is reported and dropped: its hold
 * stays until its owner's recovery charges it. Else it waits apart and is tried again.
 */
import { fromConnectError } from "@weir/mesh";
import type { WeirError } from "@weir/kernel";
import type { Settlement } from "../domain/settlement.ts";

const RETRY_MS = 500;
/** No request waits for a settlement: it goes with the next admissions, whose commit it then shares, or alone after this time. */
const SETTLE_WITHIN_MS = 10;
/** Outcomes; the contract takes 4,096 settlements a call, and an outcome has four at most. */
const MAX_BATCH = 1_000;

interface Unsettled {
  readonly outcomeNumber: number;
  readonly settlements: readonly Settlement[];
}

export interface SettlementListeners {
  readonly onError: (error: unknown) => void;
  /** Policy will never take it. */
  readonly onDropped: (settlement: Settlement, error: WeirError) => void;
}

export class SettlementQueue {
  readonly #send: (settlements: readonly Settlement[]) => Promise<unknown>;
  readonly #listeners: SettlementListeners;
  #unsettled: Unsettled[] = [];
  /** Refused by themselves, without being invalid. */
  #apart: Unsettled[] = [];
  #most = MAX_BATCH;
  #sending: Promise<void> | undefined;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #rejoining: NodeJS.Timeout | undefined;
  #due: NodeJS.Timeout | undefined;

  /** @param send resolves once policy has them all; they may be sent again after it rejected */
  constructor(send: (settlements: readonly Settlement[]) => Promise<unknown>, listeners: SettlementListeners) {
    this.#send = send;
    this.#listeners = listeners;
  }

  get pending(): number {
    return this.#unsettled.length + this.#apart.length;
  }

  /** The highest number up to `through` under which nothing is pending. */
  settledThrough(through: number): number {
    let settled = through;
    for (const list of [this.#unsettled, this.#apart]) {
      for (const { outcomeNumber } of list)
        if (outcomeNumber > 0 && outcomeNumber <= settled) settled = outcomeNumber - 1;
    }
    return settled;
  }

  /** @param settlements one or more */
  push(settlements: readonly Settlement[], outcomeNumber: number): void {
    this.#unsettled.push({ outcomeNumber, settlements });
    this.#soon();
  }

  #soon(): void {
    if (this.#unsettled.length === 0) return;
    this.#due ??= setTimeout(() => {
      // While others are under way nothing is sent: their end must find no timer that is over and take it for one that runs.
      this.#due = undefined;
      this.sendNow();
    }, SETTLE_WITHIN_MS);
  }

  /** Unless some are under way, or policy has just failed. */
  sendNow(): void {
    if (this.#sending !== undefined || this.#retry !== undefined) return;
    clearTimeout(this.#due);
    this.#due = undefined;
    if (this.#unsettled.length === 0) return;
    this.#sending = this.#sendSome().then((goesOn) => {
      this.#sending = undefined;
      if (!goesOn) this.#later();
      else if (this.#closed) this.sendNow();
      else this.#soon();
    });
  }

  #later(): void {
    if (this.#closed) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.sendNow();
    }, RETRY_MS);
  }

  #rejoin(): void {
    this.#rejoining = undefined;
    this.#unsettled.push(...this.#apart);
    this.#apart = [];
    this.#soon();
  }

  /** Never rejects. @returns whether more may be sent at once */
  async #sendSome(): Promise<boolean> {
    const batch = this.#unsettled.slice(0, this.#most);
    try {
      await this.#send(batch.flatMap(({ settlements }) => settlements));
    } catch (failure) {
      const error = fromConnectError(failure);
      if (error.reason === "invalid_request" || error.reason === "internal") return this.#isolate(batch, error);
      this.#listeners.onError(error);
      return false;
    }
    this.#unsettled = this.#unsettled.slice(batch.length);
    this.#most = Math.min(MAX_BATCH, 2 * this.#most);
    return true;
  }

  #isolate(batch: readonly Unsettled[], error: WeirError): boolean {
    const [only] = batch;
    if (batch.length > 1 || only === undefined) {
      this.#most = Math.ceil(batch.length / 2);
      return true;
    }
    const [settlement] = only.settlements;
    const rest = this.#unsettled.slice(1);
    if (only.settlements.length > 1 || settlement === undefined) {
      const { outcomeNumber } = only;
      this.#unsettled = [...only.settlements.map((one) => ({ outcomeNumber, settlements: [one] })), ...rest];
      return true;
    }
    this.#unsettled = rest;
    this.#most = MAX_BATCH;
    // A call that is invalid whatever it carries says nothing of what it carries.
    if (error.reason === "invalid_request" && error.param !== "owner" && error.param !== "settlements") {
      this.#listeners.onDropped(settlement, error);
      return true;
    }
    this.#listeners.onError(error);
    this.#apart.push(only);
    if (!this.#closed) this.#rejoining ??= setTimeout(() => this.#rejoin(), RETRY_MS);
    return true;
  }

  /** Gives policy a last chance; what it does not take is settled by the next start's recovery. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#rejoining);
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.sendNow();
    while (this.#sending !== undefined) await this.#sending;
    clearTimeout(this.#due);
  }
}
