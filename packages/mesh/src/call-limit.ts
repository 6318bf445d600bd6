import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";

/** What ends a call from outside: its deadline and its caller's signal. */
export class CallLimit {
  /** Set once it has struck. */
  error: ConnectError | undefined;
  private readonly signal: AbortSignal | undefined;
  private readonly strike: (error: ConnectError) => void;
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
    strike: (error: ConnectError) => void,
  ) {
    this.signal = signal;
    this.strike = strike;
    if (signal?.aborted === true) {
      this.onAbort();
      return;
    }
    signal?.addEventListener("abort", this.onAbort);
    if (timeoutMs !== undefined) this.timer = setTimeout(this.onTimeout, timeoutMs);
  }

  /** Undefined where a call has no limits. @param strike called at most once, perhaps at once */
  static of(
    options: Pick<CallOptions, "timeoutMs" | "signal"> | undefined,
    strike: (error: ConnectError) => void,
  ): CallLimit | undefined {
    const timeoutMs = timeoutOf(options);
    if (timeoutMs === undefined && options?.signal === undefined) return undefined;
    return new CallLimit(timeoutMs, options?.signal, strike);
  }

  private readonly onTimeout = (): void => this.end(new ConnectError("the operation timed out", Code.DeadlineExceeded));

  private readonly onAbort = (): void => {
    const reason: unknown = this.signal?.reason;
    this.end(reason instanceof ConnectError ? reason : new ConnectError("the call was cancelled", Code.Canceled));
  };

  private end(error: ConnectError): void {
    if (this.error !== undefined) return;
    this.error = error;
    this.release();
    this.strike(error);
  }

  release(): void {
    clearTimeout(this.timer);
    this.signal?.removeEventListener("abort", this.onAbort);
  }
}

/** As in Connect, what is not positive is no timeout. */
export function timeoutOf(options: Pick<CallOptions, "timeoutMs"> | undefined): number | undefined {
  const timeoutMs = options?.timeoutMs;
  return timeoutMs === undefined || timeoutMs <= 0 ? undefined : timeoutMs;
}
