/**
 * pnpm chaos [--seeds 10] [--first 1] [--only ingress-kills,mesh-kills,nats-away,spool-full,budget-storm,limit-storm,rolling-restart,client-left,evaluation] [--composition standalone]: the full figures of what the tests run
 * with a few seeds. Prints a line per seed; ends with an error if any of them broke a promise.
 */
import { parseArgs } from "node:util";
import { COMPOSITIONS } from "@weir/testkit";
import { faultsOf, stormGround, stormOf } from "./budget-storm.ts";
import { evaluationRuns } from "./evaluation-runs.ts";
import { ingressKills } from "./ingress-kills.ts";
import { clientsLeave } from "./client-left.ts";
import { natsAway, spoolFull } from "./log-away.ts";
import { meshKills } from "./mesh-kills.ts";
import { limitFaultsOf, limitStormGround } from "./limit-storm.ts";
import { rollingFaults, rollingRestart } from "./rolling-restart.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10" },
    first: { type: "string", default: "1" },
    only: { type: "string" },
    requests: { type: "string", default: "2000" },
    kills: { type: "string", default: "5" },
    composition: { type: "string" },
  },
});
const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => Number(values.first) + index);
const wanted = (name: string): boolean => values.only === undefined || values.only.split(",").includes(name);
let broken = 0;

function report(name: string, seed: number, faults: readonly string[], result: object): void {
  if (faults.length > 0) broken += 1;
  console.log(
    `${faults.length === 0 ? "holds " : "BROKEN"} ${name} seed ${seed}: ${[...faults, JSON.stringify(result)].join("; ")}`,
  );
}

async function ingressKillsOf(composition: (typeof COMPOSITIONS)[number]): Promise<void> {
  for (const seed of seeds) {
    const result = await ingressKills({
      composition,
      requests: Number(values.requests),
      kills: Number(values.kills),
      clients: 16,
      seed,
    });
    const { missing, doubled, unrecorded, notUnknown, gaps } = result;
    report(
      `ingress-kills ${composition}`,
      seed,
      [...missing, ...doubled, ...unrecorded, ...notUnknown, ...gaps],
      result,
    );
  }
}

async function meshKillsOf(): Promise<void> {
  for (const seed of seeds) {
    const result = await meshKills({
      requests: Number(values.requests),
      kills: Number(values.kills),
      clients: 16,
      seed,
    });
    const { missing, doubled, unrecorded, notUnknown, gaps } = result;
    report("mesh-kills", seed, [...missing, ...doubled, ...unrecorded, ...notUnknown, ...gaps], result);
  }
}

async function logAway(name: "nats-away" | "spool-full", composition: (typeof COMPOSITIONS)[number]): Promise<void> {
  for (const seed of seeds) {
    const options = { composition, clients: 16, requests: Number(values.requests), refusals: 500 };
    const result = name === "nats-away" ? await natsAway(options) : await spoolFull(options);
    const { missing, doubled, unrecorded, gaps } = result;
    const faults = [...missing, ...doubled, ...unrecorded, ...gaps];
    if ("drainedMs" in result && result.drainedMs > 60_000) faults.push(`drained in ${result.drainedMs} ms`);
    if ("refusals" in result) {
      faults.push(...result.notRefused);
      if (result.providerCalls > 0) faults.push(`${result.providerCalls} calls of the provider`);
      if (result.slowestRefusalMs > 1_000) faults.push(`refused in ${result.slowestRefusalMs} ms`);
      if (!result.answersAgain) faults.push("did not answer again");
    }
    report(`${name} ${composition}`, seed, faults, result);
  }
}

async function budgetStorms(): Promise<void> {
  await using ground = await stormGround();
  for (const seed of seeds) {
    const result = await ground.storm({ ...stormOf(seed), clients: 256, requests: 6 });
    report("budget-storm", seed, faultsOf(result), result);
  }
}

async function limitStorms(): Promise<void> {
  await using ground = await limitStormGround();
  for (const seed of seeds) {
    const result = await ground.storm({ seed, clients: 256, durationMs: 10_000, kills: seed % 3 });
    report("limit-storm", seed, limitFaultsOf(result), result);
  }
}

async function rollingRestarts(): Promise<void> {
  for (const seed of seeds) {
    const result = await rollingRestart({ rounds: 3, clients: 12, seed });
    report("rolling-restart", seed, rollingFaults(result), { ...result, held: String(result.held) });
  }
}

async function clientsLeft(composition: (typeof COMPOSITIONS)[number]): Promise<void> {
  for (const seed of seeds) {
    const result = await clientsLeave({ composition, each: 25, seed, mostMs: 250 });
    report(`client-left ${composition}`, seed, result.faults, { ...result, held: String(result.held) });
  }
}

async function evaluations(): Promise<void> {
  for (const seed of seeds) {
    const result = await evaluationRuns({ records: 100_000, kills: 10, seed, heapMb: 96 });
    report("evaluation", seed, result.faults, result);
  }
}

if (wanted("ingress-kills")) {
  for (const name of COMPOSITIONS) if ((values.composition ?? name) === name) await ingressKillsOf(name);
}
if (wanted("mesh-kills")) await meshKillsOf();
for (const away of ["nats-away", "spool-full"] as const) {
  if (!wanted(away)) continue;
  for (const name of COMPOSITIONS) if ((values.composition ?? name) === name) await logAway(away, name);
}
if (wanted("budget-storm")) await budgetStorms();
if (wanted("limit-storm")) await limitStorms();
if (wanted("rolling-restart")) await rollingRestarts();
if (wanted("client-left")) {
  for (const name of COMPOSITIONS) if ((values.composition ?? name) === name) await clientsLeft(name);
}
if (wanted("evaluation")) await evaluations();
if (broken > 0) process.exitCode = 1;
