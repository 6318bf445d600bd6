import { expect, it } from "vitest";
import { droppedMessage } from "./result.ts";

it("names what was dropped, but not without end: clients choose the names", () => {
  expect(droppedMessage([])).toEqual([]);
  expect(droppedMessage(["seed", "logit_bias"])).toEqual(["seed", "logit_bias"]);
  const many = droppedMessage(Array.from({ length: 50_000 }, (_, index) => `${index}${"x".repeat(100_000)}`));
  expect(many).toHaveLength(33);
  expect(many.join().length).toBeLessThan(5_000);
  expect(many.at(-1)).toBe("and 49968 more");
});
