import type { Bus } from "./bus.ts";

export interface JetStreamBusOptions {
  /** "nats://[user:password@|token@]host:port", several with commas; tls:// for TLS. */
  readonly url: string;
  /** Default "WEIR". */
  readonly stream?: string;
  /** Default "weir.records". */
  readonly subject?: string;
  /** Of the stream; the oldest go first. Default 4 GiB. */
  readonly maxBytes?: number;
  /** Default 7 days. */
  readonly maxAgeMs?: number;
  readonly replicas?: number;
  /** Within it JetStream drops what it has already. Default 2 minutes. */
  readonly dedupeWindowMs?: number;
  readonly publishTimeoutMs?: number;
}

/** NATS JetStream. Returns at once and connects in the background, forever. */
export function jetStreamBus(options: JetStreamBusOptions): Bus {
  throw new Error(`there is no way to ${options.stream ?? "JetStream"} yet`);
}
