import { expect, test } from "vitest";
import { waitingOf } from "./waiting.ts";

const of = (headers: Record<string, string>) => waitingOf((name) => headers[name]);

test("a request says how long it waits and how much it is worth to its workspace, or nothing", () => {
  expect(of({})).toBe(undefined);
  expect(of({ "x-weir-max-wait-ms": "0" })).toEqual({ maxWaitMs: 0, priority: 0 });
  expect(of({ "x-weir-priority": "9" })).toEqual({ maxWaitMs: undefined, priority: 9 });
  expect(of({ "x-weir-max-wait-ms": "1500", "x-weir-priority": "3" })).toEqual({ maxWaitMs: 1500, priority: 3 });
});

test.each([
  ["x-weir-max-wait-ms", "-1"],
  ["x-weir-max-wait-ms", "600001"],
  ["x-weir-max-wait-ms", "1e3"],
  ["x-weir-priority", "10"],
  ["x-weir-priority", "high"],
  ["x-weir-priority", ""],
])("%s: %s is refused", (name, value) => {
  expect(() => of({ [name]: value })).toThrow(expect.objectContaining({ reason: "invalid_request", param: name }));
});
