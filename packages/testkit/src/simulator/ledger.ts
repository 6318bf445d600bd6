/** What the simulator knows of one request: what a provider would bill by. */
export interface LedgerEntry {
  /** From 1, in the order they came. */
  readonly id: number;
  readonly atMs: number;
  readonly path: string;
  readonly model: string;
  readonly stream: boolean;
  /** As it came; for comparing bytes. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** 0: not answered. */
  status: number;
  inputTokens: number;
  /** Of the output that was written to the socket. */
  outputTokens: number;
  eventsSent: number;
  bytesSent: number;
  /** Answered to the end. */
  finished: boolean;
  /** When the caller left before the end; 0: it did not. */
  cancelledAtMs: number;
}

export class Ledger {
  #entries: LedgerEntry[] = [];
  #next = 1;

  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  open(request: Pick<LedgerEntry, "path" | "model" | "stream" | "body" | "headers">): LedgerEntry {
    const entry: LedgerEntry = {
      id: this.#next++,
      atMs: Date.now(),
      ...request,
      status: 0,
      inputTokens: 0,
      outputTokens: 0,
      eventsSent: 0,
      bytesSent: 0,
      finished: false,
      cancelledAtMs: 0,
    };
    this.#entries.push(entry);
    return entry;
  }

  clear(): void {
    this.#entries = [];
  }
}
