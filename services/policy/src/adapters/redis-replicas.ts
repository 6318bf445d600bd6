import type { Redis } from "ioredis";
import type { Replicas } from "../ports.ts";
import { BEAT } from "./redis-lua.ts";
import { Script } from "./redis-script.ts";

export interface RedisReplicasOptions {
  /** Whose replicas. Default "weir:limit:replicas". */
  readonly key?: string;
  /** This one. */
  readonly name: string;
}

/** Who was not heard of for so long is gone. */
const HEARD_WITHIN_MS = 5_000;

export const redisReplicas = (redis: Redis, { key = "weir:limit:replicas", name }: RedisReplicasOptions): Replicas => ({
  async beat() {
    return Number(await beat.run(redis, [0, key, name, HEARD_WITHIN_MS * 1000]));
  },
  async leave() {
    // Where Redis does not hear of it, the others find out by themselves.
    await redis.zrem(key, name).catch(() => undefined);
  },
});

const beat = new Script(BEAT);
