/**
 * pnpm chaos [--seeds 10] [--first 1] [--only ingress-kills,budget-storm,limit-storm] [--composition standalone]: the full figures of what the tests run
 * with a few seeds. Prints a line per seed; ends with an error if any of them broke a promise.
 */
import { parseArgs } from "node:util";
import { COMPOSITIONS } from "@weir/testkit";
import { faultsOf, stormGround, stormOf } from "./budget-storm.ts";
import { ingressKills } from "./ingress-kills.ts";
import { limitFaultsOf, limitStormGround } from "./limit-storm.ts";

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

if (wanted("ingress-kills")) {
  for (const name of COMPOSITIONS) if ((values.composition ?? name) === name) await ingressKillsOf(name);
}
if (wanted("budget-storm")) await budgetStorms();
if (wanted("limit-storm")) await limitStorms();
if (broken > 0) process.exitCode = 1;
