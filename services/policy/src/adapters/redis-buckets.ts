import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { NEVER_US } from "../domain/gcra.ts";
import type { BucketVerdict } from "../domain/limits.ts";
import type { BucketRequest, Buckets } from "../ports.ts";
import { GIVE_BACK, SETTLE, TAKE } from "./redis-lua.ts";

export interface RedisBucketsOptions {
  /** Before each key. Default "weir:limit:". */
  readonly prefix?: string;
  /** The clock to run on, in microseconds; absent: Redis's own, which all replicas share. For tests. */
  readonly nowUs?: () => number;
}

/** Requests per script call: a script runs alone, so one call must stay short. Calls of one batch leave together. */
const PER_CALL = 64;

/**
 * Rate limits of all replicas. Keys are made inside the scripts, so Redis Cluster is not supported.
 * @param redis that fails at once when there is no connection (openRedis of @weir/storage)
 */
export function redisBuckets(
  redis: Redis,
  { prefix = "weir:limit:", nowUs = () => 0 }: RedisBucketsOptions = {},
): Buckets {
  const run = <T>(script: Script, items: readonly T[], write: (item: T, argv: (string | number)[]) => void) =>
    Promise.all(
      chunks(items).map(async (chunk) => {
        const argv: (string | number)[] = [nowUs(), prefix];
        for (const item of chunk) write(item, argv);
        return { chunk, reply: await script.run(redis, argv) };
      }),
    );

  return {
    async take(requests) {
      const calls = await run(take, requests, writeRequest);
      return calls.flatMap(({ chunk, reply }) => readVerdicts(chunk, reply));
    },
    async giveBack(requestIds) {
      await run(giveBack, requestIds, (id, argv) => argv.push(id));
    },
    async settle(used) {
      await run(settle, used, (one, argv) => argv.push(one.requestId, one.attempt, one.tokens));
    },
  };
}

function writeRequest(request: BucketRequest, argv: (string | number)[]): void {
  argv.push(request.requestId, request.takes.length);
  for (const { bucket, incUs, rate, limit } of request.takes) {
    argv.push(bucket, incUs, rate.toleranceUs, rate.amount, rate.windowUs, limit.unit === "tokens" ? 1 : 0);
  }
}

function readVerdicts(requests: readonly BucketRequest[], reply: unknown): BucketVerdict[] {
  if (!Array.isArray(reply)) throw new Error("the limit script gave no list");
  let at = 0;
  const next = (): number => Number(reply[at++]);
  const nowUs = next();
  return requests.map(({ takes }) => {
    const refused = next();
    const tatsUs = takes.map(next).map((tat) => (tat === -1 ? NEVER_US : tat));
    return { refused: refused === 0 ? undefined : refused - 1, tatsUs, nowUs };
  });
}

function chunks<T>(items: readonly T[]): (readonly T[])[] {
  if (items.length <= PER_CALL) return items.length === 0 ? [] : [items];
  return Array.from({ length: Math.ceil(items.length / PER_CALL) }, (_, i) =>
    items.slice(i * PER_CALL, (i + 1) * PER_CALL),
  );
}

/** A script that Redis knows by its hash; told once, and again after Redis forgot it (a restart). */
class Script {
  readonly #text: string;
  readonly #sha: string;

  constructor(text: string) {
    this.#text = text;
    this.#sha = createHash("sha1").update(text).digest("hex");
  }

  async run(redis: Redis, argv: (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#sha, 0, ...argv);
    } catch (error) {
      // It was not executed, so sending it again executes it once.
      if (error instanceof Error && error.message.startsWith("NOSCRIPT")) return redis.eval(this.#text, 0, ...argv);
      throw error;
    }
  }
}

const take = new Script(TAKE);
const giveBack = new Script(GIVE_BACK);
const settle = new Script(SETTLE);
