import type { Bus } from "./bus.ts";

export interface RelayOptions {
  /** Of the spools. */
  readonly directory: string;
  readonly bus: Bus;
  /** For each producer the highest number under which nothing is missing in the log. Rejects when it cannot be known. */
  readonly watermarks: (
    producers: string[],
  ) => Promise<readonly { readonly producer: string; readonly contiguous: number }[]>;
  /** What is published and still not confirmed after this is sent again: longer than the bus's dedupe window. Default 150,000. */
  readonly resendAfterMs?: number;
  /** An intent that is open for longer is sent alone. Default 2,000. */
  readonly openAfterMs?: number;
  /** How often the spools are looked at when nothing is new. Default 20. */
  readonly pollMs?: number;
  /** Default 1,000. */
  readonly watermarkMs?: number;
}

/** Ships what spools hold and forgets what is confirmed. One at a time works on a directory; a second one waits. */
export interface Relay extends AsyncDisposable {
  /** Something was just written. */
  nudge(): void;
  /** Frames the bus took. */
  readonly shippedFrames: number;
  /** Bytes in the spools that the bus does not have yet. */
  readonly lagBytes: number;
  /** Frames the bus has and the log has not confirmed. */
  readonly unconfirmed: number;
  readonly lastError: unknown;
}

export function startRelay(options: RelayOptions): Relay {
  throw new Error(`the relay of ${options.directory} cannot be started yet`);
}
