import { audit } from "@weir/contracts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KIND, OUTCOME } from "../domain/record.ts";
import { recordOf } from "./header-reader.ts";

test("the kinds of the domain are those of the contract", () => {
  expect(KIND).toEqual({
    epochOpen: audit.RecordKind.EPOCH_OPEN,
    intent: audit.RecordKind.INTENT,
    outcome: audit.RecordKind.OUTCOME,
    refusal: audit.RecordKind.REFUSAL,
    mark: audit.RecordKind.MARK,
    epochClose: audit.RecordKind.EPOCH_CLOSE,
    quarantined: audit.RecordKind.QUARANTINED,
  });
  expect(OUTCOME).toEqual({
    succeeded: audit.OutcomeKind.SUCCEEDED,
    failed: audit.OutcomeKind.FAILED,
    cancelled: audit.OutcomeKind.CANCELLED,
    unknown: audit.OutcomeKind.UNKNOWN,
  });
});

test("any bytes of any kind make a record that keeps its number, its intent and its bytes", () => {
  fc.assert(
    fc.property(
      fc.nat(9),
      fc.nat(),
      fc.nat(),
      fc.uint8Array(),
      fc.uint8Array(),
      (kind, number, ref, header, payload) => {
        const record = recordOf({ producer: "p", number, kind, ref, header, payload }, 5);
        expect(record).toMatchObject({ producer: "p", number, header, payload });
        expect([kind, KIND.quarantined]).toContain(record.kind);
        if (record.kind === KIND.quarantined) expect(record).toMatchObject({ intentNumber: ref, intentProducer: "" });
      },
    ),
    { numRuns: 2_000 },
  );
});
