import fc from "fast-check";
import { expect, test } from "vitest";
import { ERASURE_PROOF_START, verifyErasureProof } from "./erasure-proof.ts";

test("nothing but a proof is taken for one, whatever is in the file", () => {
  const keys = [new Uint8Array(32)];
  const member = fc.oneof(fc.jsonValue(), fc.constant({}), fc.constant([{}]));
  const file = fc.record({ erasure: member, keys: member, records: member, indexes: member, leaves: member });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        file.map((value) => JSON.stringify(value)),
      ),
      (text) => {
        expect(() => verifyErasureProof(text, keys)).toThrow(Error);
        expect(() => verifyErasureProof(`${ERASURE_PROOF_START}${text.slice(1)}`, keys)).toThrow(Error);
      },
    ),
  );
});
