import { WeirError } from "@weir/kernel";
import { expect, test } from "vitest";
import { checkedIdempotencyKey } from "./idempotency-key.ts";

test("a key is visible ASCII, and no more of it than fits a header", () => {
  expect(checkedIdempotencyKey(undefined)).toBe("");
  expect(checkedIdempotencyKey(null)).toBe("");
  expect(checkedIdempotencyKey("8e03978e-40d5-43e8-bc93-6894a57f9324")).toBe("8e03978e-40d5-43e8-bc93-6894a57f9324");
  expect(checkedIdempotencyKey("x".repeat(255))).toHaveLength(255);
  for (const bad of ["x".repeat(256), "a b", "ü", "a\u0000"])
    expect(() => checkedIdempotencyKey(bad)).toThrow(WeirError);
});
