import { expect, test } from "vitest";
import { ingressKills } from "./ingress-kills.ts";

test("2,000 requests and five SIGKILLs: what a client saw to its end is in the log exactly once, what was cut is there as unknown", async () => {
  const seed = Number(process.env["WEIR_CHAOS_SEED"] ?? 7);
  const result = await ingressKills({ composition: "standalone", requests: 2_000, kills: 5, clients: 16, seed });
  console.log(`seed ${seed}:`, JSON.stringify(result));
  expect(result.seen).toBeGreaterThan(1_000);
  expect(result.missing).toEqual([]);
  expect(result.doubled).toEqual([]);
  expect(result.unrecorded).toEqual([]);
  expect(result.notUnknown).toEqual([]);
  expect(result.gaps).toEqual([]);
  expect(result.unknown).toBeGreaterThan(0);
}, 240_000);
