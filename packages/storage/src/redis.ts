import { Redis } from "ioredis";

export interface RedisOptions {
  /** Shown in CLIENT LIST. */
  readonly connectionName: string;
  /** A command without an answer fails after so long. Default 250. */
  readonly commandTimeoutMs?: number;
  /** Commands of one tick go out in one write. Default true. */
  readonly autoPipelining?: boolean;
  /** Told each time a connection fails or breaks; it reconnects by itself, at most a second apart. */
  readonly onError?: (error: Error) => void;
}

/**
 * A connection that never makes a request wait for Redis: while there is none, commands fail at once (there is no queue that
 * could grow); when the server hangs, after `commandTimeoutMs`. A command that broke with its connection is not sent again, for it may
 * have been executed. `isUnavailable` recognizes these errors.
 */
export function openRedis(url: string, options: RedisOptions): Redis {
  const commandTimeout = options.commandTimeoutMs ?? 250;
  const redis = new Redis(url, {
    connectionName: options.connectionName,
    connectTimeout: 2_000,
    commandTimeout,
    // Otherwise a connection into nothing (no FIN came) would be believed in for as long as the kernel does.
    socketTimeout: Math.max(2_000, 4 * commandTimeout),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), 1_000),
    enableAutoPipelining: options.autoPipelining ?? true,
    // After a failover the address may lead to a replica now.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  });
  redis.on("error", options.onError ?? (() => undefined));
  return redis;
}
