import { expect, test } from "vitest";
import { fakeClock } from "./fake-clock.ts";

test("time passes on both clocks, a step shows on the wall clock only", () => {
  const clock = fakeClock(1_000);
  clock.advance(50);
  clock.step(-500);
  expect(clock.nowMs()).toBe(550);
  expect(clock.monotonicMs()).toBe(50);
  expect(() => clock.advance(-1)).toThrow(RangeError);
});
