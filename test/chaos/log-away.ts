/** The log cannot be reached: what is written meanwhile, and what is refused when no more can be. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Composition, startSimulator } from "@weir/testkit";
import { type Cluster, startCluster } from "../support/processes.ts";
import { answered, sendUntilSeen } from "./client-load.ts";
import { compare, configOf, type KillsResult } from "./ingress-kills.ts";

const DRAINED_WITHIN_MS = 600_000;

export interface NatsAwayResult extends KillsResult {
  /** Requests that were seen to their end while NATS was away. */
  readonly seenMeanwhile: number;
  /** From NATS's return until the log had all of them. */
  readonly drainedMs: number;
}

/** NATS is stopped early in the load and comes back when all of it was sent. */
export async function natsAway(options: {
  readonly composition: Composition;
  readonly requests: number;
  readonly clients: number;
}): Promise<NatsAwayResult> {
  await using simulator = await startSimulator({ rules: [{ behaviour: {} }] });
  await using cluster = await startCluster(options.composition, {
    config: configOf(simulator.origin),
    env: { TEST_PROVIDER_KEY: "sk-simulated" },
  });
  const load = sendUntilSeen(frontOf(cluster), options);
  while (load.seen.size < options.requests / 10 && !load.isDone()) await sleep(5);
  await cluster.nats.stop();
  const before = load.seen.size;
  await load.done;
  const seenMeanwhile = load.seen.size - before;
  await cluster.nats.restart();
  const drainedMs = await untilStored(cluster, load.seen.size);
  const compared = await compare(cluster.auditor, simulator.ledger, load.seen, { ...options, kills: 0 });
  return { ...compared, seenMeanwhile, drainedMs };
}

export interface SpoolFullResult extends KillsResult {
  /** Of this many requests that came when nothing could be recorded any more. */
  readonly refusals: number;
  /** How many were answered otherwise than with 503, audit_unavailable and Retry-After. */
  readonly notRefused: readonly string[];
  readonly slowestRefusalMs: number;
  /** What the provider saw of them. */
  readonly providerCalls: number;
  /** Once NATS was back, requests were answered again. */
  readonly answersAgain: boolean;
}

/** The spool is small, and is not emptied: NATS is away. */
export async function spoolFull(options: {
  readonly composition: Composition;
  readonly refusals: number;
  readonly clients: number;
}): Promise<SpoolFullResult> {
  await using simulator = await startSimulator({ rules: [{ behaviour: {} }] });
  await using cluster = await startCluster(options.composition, {
    config: configOf(simulator.origin),
    env: { TEST_PROVIDER_KEY: "sk-simulated", WEIR_SPOOL_MAX_BYTES: "1MiB" },
  });
  const front = frontOf(cluster);
  const seen = new Map<number, string>();
  let mark = 0;
  const one = async (): Promise<boolean> => {
    const own = mark++;
    const id = await answered(front, own);
    if (id !== undefined) seen.set(own, id);
    return id !== undefined;
  };
  while (!(await one())) await sleep(50);
  await cluster.nats.stop();
  // A place that a small record would still find is none for a request: full is when none gets in any more.
  for (let refused = 0; refused < 3 * options.clients; ) {
    const taken = await Promise.all(Array.from({ length: options.clients }, one));
    refused = taken.some(Boolean) ? 0 : refused + taken.length;
  }
  const before = simulator.ledger.length;
  const notRefused: string[] = [];
  let slowestRefusalMs = 0;
  const probe = async (): Promise<void> => {
    const startMs = performance.now();
    const response = await fetch(`${front.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${front.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "nothing of this can be recorded" }] }),
    });
    const text = await response.text();
    slowestRefusalMs = Math.max(slowestRefusalMs, performance.now() - startMs);
    const isRefused =
      response.status === 503 && text.includes("audit_unavailable") && response.headers.has("retry-after");
    if (!isRefused) notRefused.push(`${response.status} ${text.slice(0, 200)}`);
  };
  for (let sent = 0; sent < options.refusals; sent += options.clients)
    await Promise.all(Array.from({ length: Math.min(options.clients, options.refusals - sent) }, probe));
  const providerCalls = simulator.ledger.length - before;
  await cluster.nats.restart();
  let answersAgain = false;
  for (const end = Date.now() + 60_000; !answersAgain && Date.now() < end; await sleep(100)) answersAgain = await one();
  await untilStored(cluster, seen.size);
  const compared = await compare(cluster.auditor, simulator.ledger, seen, { requests: mark, kills: 0 });
  return { ...compared, refusals: options.refusals, notRefused, slowestRefusalMs, providerCalls, answersAgain };
}

function frontOf(cluster: Cluster): Cluster["fronts"][number] {
  const [front] = cluster.fronts;
  if (front === undefined) throw new Error("a cluster has a front");
  return front;
}

async function untilStored(cluster: Cluster, requests: number): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const [{ models }, { gaps }] = await Promise.all([cluster.auditor.summarize({}), cluster.auditor.gaps({})]);
    const stored = models.reduce((sum, model) => sum + Number(model.requests), 0);
    const takenMs = performance.now() - startMs;
    if ((stored >= requests && gaps.length === 0) || takenMs > DRAINED_WITHIN_MS) return takenMs;
    await sleep(100);
  }
}
