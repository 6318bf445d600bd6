import fc from "fast-check";
import { expect, it } from "vitest";
import { OutcomeRate } from "./outcome-rate.ts";

it("is tripped by half of the calls going wrong, though never two in a row", () => {
  const rate = new OutcomeRate();
  const trippedAt = Array.from({ length: 60 }, (_, at) => rate.note(at % 2 === 0, at * 10)).indexOf(true);
  expect(trippedAt).toBeGreaterThanOrEqual(19);
  expect(trippedAt).toBeLessThan(25);
});

it("is not tripped by a few calls, nor by a fifth going wrong, nor by what is long past", () => {
  const few = new OutcomeRate();
  expect(Array.from({ length: 10 }, (_, at) => few.note(true, at * 1_000)).includes(true)).toBe(false);
  fc.assert(
    fc.property(fc.nat(4), (offset) => {
      const rate = new OutcomeRate();
      const some = Array.from({ length: 500 }, (_, at) => rate.note((at + offset) % 5 === 0, at * 20));
      expect(some.includes(true)).toBe(false);
    }),
  );
  const past = new OutcomeRate();
  for (let at = 0; at < 19; at++) past.note(true, at);
  expect(past.note(false, 120_000)).toBe(false);
});

it("forgets what was before", () => {
  const rate = new OutcomeRate();
  for (let at = 0; at < 30; at++) rate.note(true, at);
  rate.forget();
  expect(rate.note(true, 31)).toBe(false);
});
