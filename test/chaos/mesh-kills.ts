/**
 * Requests go through a mesh while one after another of its processes, NATS and Postgres are killed at random and started again. Afterwards the
 * clients' notes, the provider's own ledger and the audit log must tell the same story.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startSimulator } from "@weir/testkit";
import { startCluster } from "../support/processes.ts";
import { sendUntilSeen } from "./client-load.ts";
import { compare, configOf, type KillsResult } from "./ingress-kills.ts";
import { randomOf } from "./random.ts";

export interface MeshKillsResult extends KillsResult {
  /** What was killed, in this order. */
  readonly victims: readonly string[];
  /** From when all was ready again until the log had all. */
  readonly caughtUpMs: number;
}

const VICTIMS = ["ingress", "router", "policy", "audit", "nats", "postgres"] as const;
/** A log that was killed with everything else away catches up in this time. */
const CATCH_UP_MS = 90_000;

export async function meshKills(options: {
  readonly requests: number;
  readonly kills: number;
  readonly clients: number;
  readonly seed: number;
}): Promise<MeshKillsResult> {
  const draw = randomOf(options.seed);
  await using simulator = await startSimulator({ rules: [{ behaviour: { trickleMs: 1 } }] });
  await using cluster = await startCluster("mesh", {
    config: configOf(simulator.origin),
    env: { TEST_PROVIDER_KEY: "sk-simulated" },
  });
  const [front] = cluster.fronts;
  const [policy] = cluster.policies;
  if (front === undefined || policy === undefined) throw new Error("a mesh has an ingress and a policy");
  const again = { ingress: front, router: cluster.routing, policy, audit: cluster.logging };
  const victims: string[] = [];
  const load = sendUntilSeen(front, options);

  async function killer(): Promise<void> {
    for (let kill = 1; kill <= options.kills; kill += 1) {
      const at = Math.floor((options.requests * (kill - draw() * 0.8)) / (options.kills + 1));
      while (load.seen.size < at && !load.isDone()) await sleep(5);
      // Each of them once before any of them twice.
      const left = VICTIMS.filter(
        (name) => victims.filter((one) => one === name).length === Math.floor(victims.length / VICTIMS.length),
      );
      const victim = left[Math.floor(draw() * left.length)] ?? "ingress";
      victims.push(victim);
      const awayMs = draw() * 500;
      if (victim === "nats" || victim === "postgres") {
        await cluster[victim].kill();
        await sleep(awayMs);
        await cluster[victim].restart();
      } else {
        await again[victim].kill();
        await sleep(awayMs);
        await again[victim].start();
      }
    }
  }

  await Promise.all([killer(), load.done]);
  for (const end = Date.now() + CATCH_UP_MS; ; await sleep(250)) {
    const states = await Promise.all(Object.values(again).map((process) => process.readyz()));
    if (states.every((state) => state === 200)) break;
    if (Date.now() > end) throw new Error(`not ready again: ${JSON.stringify(states)}`);
  }
  const startMs = performance.now();
  const compared = await compare(cluster.auditor, simulator.ledger, load.seen, options);
  return { victims, ...compared, caughtUpMs: performance.now() - startMs };
}
