import { common } from "@weir/contracts";
import { catalogue } from "@weir/kernel";
import { expect, test } from "vitest";

test("the error catalogue and ErrorReason of the contracts name the same reasons", () => {
  const reasons = common.ErrorReasonSchema.values
    .filter((value) => value.number !== 0)
    .map((value) => value.name.replace(/^ERROR_REASON_/, "").toLowerCase());
  expect(reasons.sort()).toEqual(Object.keys(catalogue).sort());
});
