import { randomUUID } from "node:crypto";
import { openRedis } from "@weir/storage";
import type { AnswerCache, ReplicaFlights } from "../ports.ts";
import { openedAnswer, sealedAnswer } from "./kept-answer.ts";

const PREFIX = "weir:cache:";
const FLIGHT_PREFIX = "weir:cache-flight:";
/** A cache that takes longer than this is none. */
const COMMAND_MS = 100;
/** How long the others wait for a replica that is gone. */
const FLIGHT_MS = 3_000;
const RENEW_MS = 1_000;

/** Whoever stalled for so long that another went must not end that one's. */
const RENEW = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2]) or 0";
const END = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0";

/** For all replicas, sealed: Redis has nothing that can be read. @param onError told when it does not answer; requests go on without it */
export function redisCache(
  url: string,
  onError: (error: unknown) => void,
): AnswerCache & ReplicaFlights & AsyncDisposable {
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
      redis.set(PREFIX + name, sealedAnswer(answer, secret), "PX", Math.ceil(ttlMs)).catch(onError);
    },
    async board(name) {
      const [flight, own] = [FLIGHT_PREFIX + name, randomUUID()];
      try {
        if ((await redis.set(flight, own, "PX", FLIGHT_MS, "NX")) === null) return undefined;
      } catch (error) {
        onError(error);
        return () => undefined;
      }
      const renewing = setInterval(() => void redis.eval(RENEW, 1, flight, own, FLIGHT_MS).catch(onError), RENEW_MS);
      renewing.unref();
      // On the connection that an answer was put on before: who finds no flight any more finds the answer.
      return () => {
        clearInterval(renewing);
        redis.eval(END, 1, flight, own).catch(onError);
      };
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}
