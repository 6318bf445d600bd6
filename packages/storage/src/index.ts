export { heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
export { migrate, type Migrations } from "./migrate.ts";
export { type DatabaseAddress, openPool, type PoolOptions } from "./pool.ts";
export { openRedis, type RedisOptions } from "./redis.ts";
export { retryWhileAway, type RetryOptions } from "./retry.ts";
export { ensureRole } from "./role.ts";
export { isUnavailable } from "./unavailable.ts";
