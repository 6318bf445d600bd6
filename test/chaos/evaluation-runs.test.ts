import { expect, test } from "vitest";
import { evaluationRuns } from "./evaluation-runs.ts";

test("killed three times and resumed, a run judges every record once, with the bytes of one that was left alone, in a bounded heap", async () => {
  const result = await evaluationRuns({ records: 6_000, kills: 3, seed: 7, heapMb: 48 });
  console.log(JSON.stringify(result));
  expect(result.faults).toEqual([]);
  expect(result.kills).toBe(3);
}, 180_000);
