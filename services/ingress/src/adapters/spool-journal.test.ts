import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Outcome } from "../domain/record.ts";
import { result } from "../flows/test-ports.ts";
import { outcomeBytes } from "./spool-journal.ts";

test("an outcome's bytes hold its intent, of any length, and the rest", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40_000 }), fc.integer({ min: 0, max: 999 }), (inputHmac, status) => {
      const outcome: Omit<Outcome, "intent"> = {
        atMs: 1,
        kind: "failed",
        status,
        error: "internal",
        result: result(),
        outputHmac: inputHmac,
        overheadUs: 2,
        guardrails: undefined,
      };
      const intent = toBinary(audit.IntentSchema, create(audit.IntentSchema, { requestId: "r", inputHmac }));
      const read = fromBinary(audit.OutcomeSchema, outcomeBytes(intent, outcome));
      expect(read.intent?.requestId).toBe("r");
      expect(new Uint8Array(read.intent?.inputHmac ?? [])).toEqual(inputHmac);
      expect([read.status, read.overheadUs, read.result?.attempts.length]).toEqual([status, 2, 1]);
      expect(new Uint8Array(read.outputHmac)).toEqual(inputHmac);
    }),
    { numRuns: 300 },
  );
});
