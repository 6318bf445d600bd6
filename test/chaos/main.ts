/**
 * pnpm chaos [--seeds 10] [--requests 2000] [--kills 5] [--composition standalone]: the full figures of what the tests run with one seed.
 * Prints a line per seed; ends with an error if any of them broke a promise.
 */
import { parseArgs } from "node:util";
import { COMPOSITIONS } from "@weir/testkit";
import { ingressKills } from "./ingress-kills.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10" },
    requests: { type: "string", default: "2000" },
    kills: { type: "string", default: "5" },
    composition: { type: "string" },
  },
});
let broken = 0;
for (const composition of COMPOSITIONS.filter(
  (name) => values.composition === undefined || values.composition === name,
)) {
  for (let seed = 1; seed <= Number(values.seeds); seed += 1) {
    const result = await ingressKills({
      composition,
      requests: Number(values.requests),
      kills: Number(values.kills),
      clients: 16,
      seed,
    });
    const faults = [...result.missing, ...result.doubled, ...result.unrecorded, ...result.notUnknown, ...result.gaps];
    if (faults.length > 0) broken += 1;
    console.log(`${faults.length === 0 ? "holds " : "BROKEN"} ${composition} seed ${seed}: ${JSON.stringify(result)}`);
  }
}
if (broken > 0) process.exitCode = 1;
