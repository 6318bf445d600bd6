import { COMPOSITIONS } from "@weir/testkit";
import { expect, test } from "vitest";
import { clientsLeave } from "./client-left.ts";

test.each(COMPOSITIONS)(
  "%s: who leaves is not paid for: the provider is let go, and what it had sent is charged",
  async (composition) => {
    const seed = Number(process.env["WEIR_CHAOS_SEED"] ?? 3);
    // The promise is 250 ms on a machine that has time; here it has ten times as long.
    const result = await clientsLeave({ composition, each: 2, seed, mostMs: 2_500 });
    console.log(`${composition}, seed ${seed}:`, { ...result, held: String(result.held) });
    expect(result.faults).toEqual([]);
    expect(result.left).toBe(24);
  },
  120_000,
);
