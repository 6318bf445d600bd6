import { openRedis } from "@weir/storage";
import type { AnswerCache } from "../ports.ts";
import { openedAnswer, sealedAnswer } from "./kept-answer.ts";

const PREFIX = "weir:cache:";
/** A cache that takes longer than this is none. */
const COMMAND_MS = 100;

/** For all replicas, sealed: Redis has nothing that can be read. @param onError told when it does not answer; requests go on without it */
export function redisCache(url: string, onError: (error: unknown) => void): AnswerCache & AsyncDisposable {
  const redis = openRedis(url, { connectionName: "weir-router-cache", commandTimeoutMs: COMMAND_MS, onError });
  return {
    async get({ name, secret }) {
      try {
        const bytes = await redis.getBuffer(PREFIX + name);
        return bytes === null ? undefined : openedAnswer(bytes, secret);
      } catch (error) {
        onError(error);
        return undefined;
      }
    },
    put({ name, secret }, answer, ttlMs) {
      redis.set(PREFIX + name, sealedAnswer(answer, secret), "PX", ttlMs).catch(onError);
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}
