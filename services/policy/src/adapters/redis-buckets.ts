import type { Redis } from "ioredis";
import { NEVER_US } from "../domain/gcra.ts";
import type { LimitUnit } from "../domain/key-policy.ts";
import type { BucketVerdict } from "../domain/limits.ts";
import { type BucketRequest, type Buckets, SLOT_LEASE_MS, type Use } from "../ports.ts";
import { MEMORY_US } from "./bucket-memory.ts";
import { GIVE_BACK, PEEK, RENEW, SETTLE, TAKE } from "./redis-lua.ts";
import { Script } from "./redis-script.ts";

export interface RedisBucketsOptions {
  /** Before each key. Default "weir:limit:". */
  readonly prefix?: string;
  /** The clock to run on, in microseconds; absent: Redis's own, which all replicas share. For tests. */
  readonly nowUs?: () => number;
  /** For tests. */
  readonly leaseMs?: number;
}

/** Requests per script call: a script runs alone, so one call must stay short. Calls of one batch leave together. */
const PER_CALL = 64;

const KINDS: Record<LimitUnit, number> = {
  requests: 0,
  tokens: 1,
  "input-tokens": 2,
  "output-tokens": 3,
  concurrency: 4,
};

type Argv = (string | number)[];

/**
 * Rate limits of all replicas. Keys are made inside the scripts, so Redis Cluster is not supported.
 * @param redis that fails at once when there is no connection (openRedis of @weir/storage)
 */
export function redisBuckets(
  redis: Redis,
  { prefix = "weir:limit:", nowUs = () => 0, leaseMs = SLOT_LEASE_MS }: RedisBucketsOptions = {},
): Buckets {
  const lease = leaseMs * 1000;
  const run = <T>(script: Script, items: readonly T[], more: readonly number[], write: (item: T, argv: Argv) => void) =>
    Promise.all(
      chunks(items).map(async (chunk) => {
        const argv: Argv = [nowUs(), prefix, ...more];
        for (const item of chunk) write(item, argv);
        return { chunk, reply: await script.run(redis, argv) };
      }),
    );

  return {
    async take(requests) {
      const calls = await run(take, requests, [lease, MEMORY_US.shortest, MEMORY_US.longest], writeRequest);
      return calls.flatMap(({ chunk, reply }) => readVerdicts(chunk, reply));
    },
    async peek(takes) {
      const argv: Argv = [nowUs(), prefix];
      for (const take of takes) argv.push(take.bucket, KINDS[take.limit.unit]);
      const reply = await peek.run(redis, argv);
      if (!Array.isArray(reply)) throw new Error("the limit script gave no list");
      const [now = 0, ...states] = reply.map(Number);
      return { refused: undefined, states: states.map((state) => (state === -1 ? NEVER_US : state)), nowUs: now };
    },
    async giveBack(ids) {
      await run(giveBack, ids, [], (id, argv) => argv.push(id));
    },
    async settle(uses) {
      await run(settle, uses, [], writeUse);
    },
    async renew(ids) {
      await run(renew, ids, [lease], (id, argv) => argv.push(id));
    },
  };
}

function writeRequest({ id, takes }: BucketRequest, argv: Argv): void {
  argv.push(id, takes.length);
  for (const take of takes) {
    argv.push(take.bucket, KINDS[take.limit.unit]);
    if (take.kind === "slot") argv.push(take.capacity, 0, 0, 0);
    else argv.push(take.incUs, take.rate.toleranceUs, take.rate.amount, take.rate.windowUs);
  }
}

function writeUse({ id, attempt, tokens, over }: Use, argv: Argv): void {
  argv.push(id, attempt, tokens?.total ?? -1, tokens?.parts?.input ?? -1, tokens?.parts?.output ?? -1, over ? 1 : 0);
}

function readVerdicts(requests: readonly BucketRequest[], reply: unknown): BucketVerdict[] {
  if (!Array.isArray(reply)) throw new Error("the limit script gave no list");
  let at = 0;
  const next = (): number => Number(reply[at++]);
  const nowUs = next();
  return requests.map(({ takes }) => {
    const refused = next();
    const states = takes.map(next).map((state) => (state === -1 ? NEVER_US : state));
    return { refused: refused === 0 ? undefined : refused - 1, states, nowUs };
  });
}

function chunks<T>(items: readonly T[]): (readonly T[])[] {
  if (items.length <= PER_CALL) return items.length === 0 ? [] : [items];
  return Array.from({ length: Math.ceil(items.length / PER_CALL) }, (_, i) =>
    items.slice(i * PER_CALL, (i + 1) * PER_CALL),
  );
}

const take = new Script(TAKE);
const peek = new Script(PEEK);
const giveBack = new Script(GIVE_BACK);
const settle = new Script(SETTLE);
const renew = new Script(RENEW);
