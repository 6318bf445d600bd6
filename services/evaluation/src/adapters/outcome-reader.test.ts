import { evaluation } from "@weir/contracts";
import { encodeFrames, FRAME_KIND } from "@weir/events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { VERDICT } from "./postgres-rows.ts";
import { readOutcomes } from "./outcome-reader.ts";

test("any bytes as a batch, and any header as an outcome, are read or said to be unreadable; nothing throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, framed) => {
      const data = framed ? encodeFrames([{ kind: FRAME_KIND.outcome, number: 1, header: bytes }]) : bytes;
      for (const { subject, reason, letter } of readOutcomes([{ producer: "p", first: 1, last: 1, data }])) {
        expect(reason === "").toBe(subject !== undefined);
        expect(letter("why", 0).reason).toBe("why");
      }
    }),
    { numRuns: 2_000 },
  );
});

test("stored verdicts are those of the contract", () => {
  expect(VERDICT).toEqual({
    pass: evaluation.Verdict.PASS,
    fail: evaluation.Verdict.FAIL,
    "not-evaluable": evaluation.Verdict.NOT_EVALUABLE,
    unjudged: evaluation.Verdict.UNJUDGED,
  });
});
