import { expect, test } from "vitest";
import { rollingFaults, rollingRestart } from "./rolling-restart.ts";

test("every service is restarted under load: no request is dropped, and nothing stays held", async () => {
  const seed = Number(process.env["WEIR_CHAOS_SEED"] ?? 5);
  const result = await rollingRestart({ rounds: 1, clients: 6, seed });
  console.log(`seed ${seed}:`, { ...result, held: String(result.held) });
  expect(rollingFaults(result)).toEqual([]);
  expect(result.restarts).toBe(7);
  expect(result.requests).toBeGreaterThan(50);
  expect(result.streams).toBeGreaterThan(10);
}, 240_000);
