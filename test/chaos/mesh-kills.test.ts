import { expect, test } from "vitest";
import { meshKills } from "./mesh-kills.ts";

test("600 requests, and each service, NATS and Postgres killed once: what a client saw to its end is in the log exactly once", async () => {
  const seed = Number(process.env["WEIR_CHAOS_SEED"] ?? 7);
  const result = await meshKills({ requests: 600, kills: 6, clients: 8, seed });
  console.log(`seed ${seed}:`, JSON.stringify(result));
  expect(new Set(result.victims).size).toBe(6);
  expect(result.seen).toBeGreaterThanOrEqual(600);
  expect(result.missing).toEqual([]);
  expect(result.doubled).toEqual([]);
  expect(result.unrecorded).toEqual([]);
  expect(result.notUnknown).toEqual([]);
  expect(result.gaps).toEqual([]);
}, 480_000);
