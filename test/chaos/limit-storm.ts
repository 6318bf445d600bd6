/**
 * Many clients ask several replicas of policy, each a process of its own, for more than rate limits let through, while replicas are killed and
 * started again. What was let through is held against what one serial limiter would have on the same clock: never more, in total and in any
 * window; and hardly less. Redis, the replicas and this process share the machine's clock; an admission happened
 * somewhere between its question and its answer, so only what lies wholly within a window counts for it.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import { common, policy } from "@weir/contracts";
import { Secret } from "@weir/kernel";
import { networkPeers } from "@weir/mesh";
import { type Cluster, startCluster } from "../support/processes.ts";
import { randomOf } from "./random.ts";
import { redisMonitor } from "./redis-monitor.ts";
import { SerialLimiter } from "./serial-limiter.ts";

export interface LimitStormOptions {
  readonly seed: number;
  readonly clients: number;
  readonly durationMs: number;
  /** Of replicas; 0: nobody is killed. */
  readonly kills: number;
}

export interface LimitResult {
  readonly name: string;
  /** `amount` per `windowMs`, and `burst`. */
  readonly terms: string;
  readonly asked: number;
  readonly admitted: number;
  /** The most that a serial limiter lets through in the time from the first question to the last answer. */
  readonly most: number;
  /** What a serial limiter lets through of the same questions, at the times Redis had them. Undefined: it gives back, so that one knows less. */
  readonly serial: number | undefined;
  /** What was used in the fullest window, and what may be. */
  readonly fullest: number;
  readonly mayHold: number;
  /** Asked for by calls that broke: let through or not. */
  readonly unknown: number;
}

export interface LimitStormResult {
  readonly seed: number;
  readonly kills: number;
  readonly limits: readonly LimitResult[];
  /** Running at the same time, at most, and how many may. */
  readonly atATime: number;
  readonly mayRun: number;
  /** Refused for other reasons than a limit. */
  readonly refusals: readonly string[];
  /** Refused as Redis did not answer in time. */
  readonly unchecked: number;
}

/** What of a result breaks a promise; nothing: all hold. */
export function limitFaultsOf({ kills, limits, atATime, mayRun, refusals }: LimitStormResult): string[] {
  const faults: string[] = [...new Set(refusals)];
  for (const { name, terms, admitted, most, serial, fullest, mayHold, unknown } of limits) {
    if (admitted > most) faults.push(`${name} (${terms}): ${admitted} where ${most} may`);
    if (serial !== undefined && admitted < serial * 0.99)
      faults.push(`${name} (${terms}): only ${admitted} where one limiter lets ${serial} through`);
    if (kills === 0 && unknown > 0) faults.push(`${name}: ${unknown} got no answer though nobody was killed`);
    if (fullest > mayHold) faults.push(`${name} (${terms}): ${fullest} in a window that may hold ${mayHold}`);
  }
  if (atATime > mayRun) faults.push(`${atATime} at a time where ${mayRun} may`);
  return faults;
}

const MESH_TOKEN = "weir-limit-storm-mesh-token-0123456789";

/** Replicas of policy on one Redis; seeds follow each other on it. */
export async function limitStormGround(
  replicas = 4,
): Promise<AsyncDisposable & { storm(options: LimitStormOptions): Promise<LimitStormResult> }> {
  const cluster = await startCluster("mesh", { policies: replicas, env: { WEIR_MESH_TOKEN: MESH_TOKEN } });
  const clients = cluster.policies.map(({ rpcUrl }) =>
    networkPeers({ addresses: () => rpcUrl, token: new Secret(MESH_TOKEN) }),
  );
  return {
    async storm(options) {
      const serial = new SerialLimiter();
      using _monitor = await redisMonitor(cluster.redis.url, (time, words) => serial.see(time, words));
      const replicasOf = clients.map((peers) => peers.client(policy.PolicyService));
      return await new LimitStorm(cluster, replicasOf, serial, options).run();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((peers) => peers[Symbol.asyncDispose]()));
      await cluster[Symbol.asyncDispose]();
    },
  };
}

interface Terms {
  readonly name: string;
  readonly unit: policy.LimitUnit;
  readonly amount: number;
  readonly windowMs: number;
  readonly burst: number;
}

interface Use {
  readonly askedMs: number;
  readonly answeredMs: number;
  /** What it took; less, once it was settled with less. */
  used: number;
}

class Meter {
  readonly terms: Terms;
  readonly keyId: string;
  readonly uses: Use[] = [];
  asked = 0;
  unknown = 0;
  /** Questions whose answer is known. */
  readonly known: { readonly requestId: string; readonly cost: number }[] = [];
  largest = 1;

  constructor(terms: Terms, keyId: string) {
    this.terms = terms;
    this.keyId = keyId;
  }

  result(serial: SerialLimiter | undefined): LimitResult {
    const { name, amount, windowMs, burst } = this.terms;
    const admitted = this.uses.reduce((sum, { used }) => sum + used, 0);
    const firstAskedMs = Math.min(...this.uses.map(({ askedMs }) => askedMs));
    const lastAnsweredMs = Math.max(...this.uses.map(({ answeredMs }) => answeredMs));
    const rate = amount / windowMs;
    const atOnce = Math.max(burst + 1, this.largest);
    return {
      name,
      terms: `${amount} per ${windowMs} ms + ${burst}`,
      asked: this.asked,
      admitted,
      most: serial === undefined ? Infinity : Math.floor(atOnce + rate * (lastAnsweredMs - firstAskedMs)),
      serial:
        serial && this.known.reduce((sum, { requestId, cost }) => sum + (serial.admitted(requestId) ? cost : 0), 0),
      fullest: this.#fullestWindow(),
      mayHold: amount + burst,
      unknown: this.unknown,
    };
  }

  #fullestWindow(): number {
    const uses = this.uses.toSorted((a, b) => a.askedMs - b.askedMs);
    let fullest = 0;
    for (const [from, first] of uses.entries()) {
      let sum = 0;
      for (let at = from; at < uses.length; at += 1) {
        const use = uses[at] as Use;
        if (use.askedMs >= first.askedMs + this.terms.windowMs) break;
        if (use.answeredMs < first.askedMs + this.terms.windowMs) sum += use.used;
      }
      fullest = Math.max(fullest, sum);
    }
    return fullest;
  }
}

const nowMs = (): number => performance.timeOrigin + performance.now();

class LimitStorm {
  readonly #cluster: Cluster;
  readonly #replicas: readonly Client<typeof policy.PolicyService>[];
  readonly #options: LimitStormOptions;
  readonly #draw: () => number;
  readonly #serial: SerialLimiter;
  readonly #refusals: string[] = [];
  #unchecked = 0;
  #over = false;
  #running = 0;
  #mostRunning = 0;

  constructor(
    cluster: Cluster,
    replicas: readonly Client<typeof policy.PolicyService>[],
    serial: SerialLimiter,
    options: LimitStormOptions,
  ) {
    this.#cluster = cluster;
    this.#serial = serial;
    this.#replicas = replicas;
    this.#options = options;
    this.#draw = randomOf(options.seed);
  }

  async run(): Promise<LimitStormResult> {
    const { seed, kills, clients, durationMs } = this.#options;
    const { LimitUnit } = policy;
    const between = (least: number, most: number): number => Math.floor(least + this.#draw() * (most - least));
    const windowMs = (): number => between(1000, 2500);
    const requests = await this.#meter([
      {
        name: "requests",
        unit: LimitUnit.REQUESTS,
        amount: between(50, 150),
        windowMs: windowMs(),
        burst: between(0, 15),
      },
    ]);
    const tokens = await this.#meter([
      {
        name: "tokens",
        unit: LimitUnit.TOKENS,
        amount: between(20_000, 40_000),
        windowMs: windowMs(),
        burst: between(1000, 4000),
      },
    ]);
    const settled = await this.#meter([
      {
        name: "settled",
        unit: LimitUnit.OUTPUT_TOKENS,
        amount: between(20_000, 40_000),
        windowMs: windowMs(),
        burst: between(1000, 4000),
      },
    ]);
    const several = await this.#meter([
      {
        name: "several, short",
        unit: LimitUnit.REQUESTS,
        amount: between(60, 90),
        windowMs: 1000,
        burst: between(2, 10),
      },
      {
        name: "several, long",
        unit: LimitUnit.REQUESTS,
        amount: between(100, 150),
        windowMs: 3000,
        burst: between(2, 10),
      },
    ]);
    const mayRun = between(5, 40);
    const slots = await this.#meter([
      { name: "slots", unit: LimitUnit.CONCURRENCY, amount: mayRun, windowMs: 0, burst: 0 },
    ]);
    await this.#known([...requests, ...tokens, ...settled, ...several, ...slots]);
    const each = Math.ceil(clients / 5);
    const loops = Array.from({ length: each }, () => [
      this.#asker(requests, () => 1, false),
      this.#asker(tokens, () => between(1, 900), false),
      this.#asker(settled, () => between(1, 900), true),
      this.#asker(several, () => 1, false),
      this.#runner(slots[0] as Meter),
    ]);
    const killing = this.#kill(kills, durationMs);
    await sleep(durationMs);
    this.#over = true;
    await Promise.all([...loops.flat(), killing]);
    // Redis tells a listener later than it answers.
    await sleep(1_000);
    return {
      seed,
      kills,
      limits: [
        ...requests.map((meter) => meter.result(this.#serial)),
        ...tokens.map((meter) => meter.result(this.#serial)),
        ...settled.map((meter) => meter.result(undefined)),
        ...several.map((meter) => meter.result(this.#serial)),
      ],
      atATime: this.#mostRunning,
      mayRun,
      refusals: this.#refusals,
      unchecked: this.#unchecked,
    };
  }

  /** A key of its own with these limits; what it is let through counts for each of them. */
  async #meter(limits: readonly Terms[]): Promise<Meter[]> {
    const { operator } = this.#cluster;
    const { key } = await operator.policy.createKey({ name: `storm ${limits[0]?.name}` });
    const id = key?.id ?? "";
    for (const { unit, amount, windowMs, burst } of limits)
      await operator.policy.putLimit({
        place: { place: { case: "key", value: id } },
        per: policy.LimitSubject.KEY,
        unit,
        amount: BigInt(amount),
        windowMs: BigInt(windowMs),
        burst: BigInt(burst),
        failClosed: true,
      });
    return limits.map((terms) => new Meter(terms, id));
  }

  /** Every replica knows the limits. Asked for as nobody would: nothing is taken. */
  async #known(meters: readonly Meter[]): Promise<void> {
    // Those that were killed by an earlier seed are back.
    for (const replica of this.#cluster.policies) while ((await replica.readyz()) !== 200) await sleep(50);
    await sleep(1_500);
    const wanted = new Set(meters.map(({ keyId }) => keyId));
    const { limits } = await this.#cluster.operator.policy.listLimits({});
    const listed = limits.filter(({ place }) => wanted.has(place?.place.value as string));
    if (listed.length !== meters.length) throw new Error("the limits are not there");
  }

  #ask(replica: number, keyId: string, requestId: string, tokens: number) {
    const client = this.#replicas[replica % this.#replicas.length] as Client<typeof policy.PolicyService>;
    return client.admitBatch(
      {
        owner: "storm",
        admissions: [
          { requestId, keyId, model: "m", bound: { costNanos: 0n, tokens: BigInt(tokens) }, outputTokens: tokens },
        ],
      },
      { timeoutMs: 10_000 },
    );
  }

  #settle(keyId: string, requestId: string, used: number) {
    const client = this.#replicas[Math.floor(this.#draw() * this.#replicas.length)] as Client<
      typeof policy.PolicyService
    >;
    const outcome = { case: "charge", value: { costNanos: 0n, tokens: BigInt(used) } } as const;
    return client.settleBatch({
      owner: "storm",
      settlements: [{ requestId, keyId, attempt: 1, outcome, outputTokens: BigInt(used) }],
    });
  }

  async #asker(meters: readonly Meter[], costOf: () => number, settles: boolean): Promise<void> {
    while (!this.#over) {
      const cost = costOf();
      const [first] = meters;
      if (first === undefined) return;
      const requestId = randomUUID();
      const askedMs = nowMs();
      try {
        const { verdicts } = await this.#ask(Math.floor(this.#draw() * 64), first.keyId, requestId, cost);
        const answeredMs = nowMs();
        const verdict = verdicts[0]?.verdict;
        const admitted = verdict?.case === "admitted";
        const reason = verdict?.case === "refused" ? verdict.value.error?.reason : undefined;
        // Redis, or the machine, took too long: limits that fail closed say so, and Redis may have taken it all the same.
        if (reason === common.ErrorReason.POLICY_UNAVAILABLE) {
          this.#unchecked += 1;
          continue;
        }
        if (verdict?.case === "refused" && reason !== common.ErrorReason.RATE_LIMITED)
          this.#refusals.push(verdict.value.error?.message ?? "");
        for (const meter of meters) {
          meter.asked += 1;
          meter.largest = Math.max(meter.largest, cost);
          meter.known.push({ requestId, cost });
          if (admitted) meter.uses.push({ askedMs, answeredMs, used: cost });
        }
        if (admitted && settles) await this.#use(first, first.uses.at(-1) as Use, requestId);
      } catch {
        // Its replica was killed: it may have been let through.
        for (const meter of meters) meter.unknown += cost;
        await sleep(10);
      }
      if (this.#draw() < 0.3) await sleep(this.#draw() * 3);
    }
  }

  async #use(meter: Meter, use: Use, requestId: string): Promise<void> {
    await sleep(this.#draw() * 30);
    const used = Math.floor(use.used * this.#draw());
    await this.#settle(meter.keyId, requestId, used);
    use.used = used;
  }

  /** Runs for a while, and ends; a replica that is killed under its settlement is followed by another. */
  async #runner(meter: Meter): Promise<void> {
    while (!this.#over) {
      const requestId = randomUUID();
      try {
        const { verdicts } = await this.#ask(Math.floor(this.#draw() * 64), meter.keyId, requestId, 1);
        if (verdicts[0]?.verdict.case === "admitted") {
          this.#running += 1;
          this.#mostRunning = Math.max(this.#mostRunning, this.#running);
          await sleep(this.#draw() * 40);
          this.#running -= 1;
          while (
            await this.#settle(meter.keyId, requestId, 1).then(
              () => false,
              () => true,
            )
          )
            await sleep(20);
        }
      } catch {
        await sleep(10);
      }
      await sleep(this.#draw() * 10);
    }
  }

  async #kill(kills: number, durationMs: number): Promise<void> {
    for (let kill = 0; kill < kills; kill += 1) {
      await sleep((durationMs / (kills + 1)) * (0.5 + this.#draw()));
      // The first one is the operator's.
      const replica = this.#cluster.policies[1 + Math.floor(this.#draw() * (this.#cluster.policies.length - 1))];
      await replica?.kill();
      await replica?.start();
    }
  }
}
