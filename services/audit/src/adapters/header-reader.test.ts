import { audit } from "@weir/contracts";
import { encodeFrames, FRAME_KIND, type Frame } from "@weir/events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KIND, OUTCOME } from "../domain/record.ts";
import { readBatches } from "./batch-reader.ts";
import { recordOf } from "./header-reader.ts";

test("the kinds of the domain and of frames are those of the contract", () => {
  expect(KIND).toEqual({
    epochOpen: audit.RecordKind.EPOCH_OPEN,
    intent: audit.RecordKind.INTENT,
    outcome: audit.RecordKind.OUTCOME,
    refusal: audit.RecordKind.REFUSAL,
    mark: audit.RecordKind.MARK,
    epochClose: audit.RecordKind.EPOCH_CLOSE,
    quarantined: audit.RecordKind.QUARANTINED,
    erasure: audit.RecordKind.ERASURE,
    retention: audit.RecordKind.RETENTION,
    retentionPolicy: audit.RecordKind.RETENTION_POLICY,
    legalHold: audit.RecordKind.LEGAL_HOLD,
    legalHoldRelease: audit.RecordKind.LEGAL_HOLD_RELEASE,
    signature: audit.RecordKind.SIGNATURE,
  });
  expect(KIND).toMatchObject(FRAME_KIND);
  expect(OUTCOME).toEqual({
    succeeded: audit.OutcomeKind.SUCCEEDED,
    failed: audit.OutcomeKind.FAILED,
    cancelled: audit.OutcomeKind.CANCELLED,
    unknown: audit.OutcomeKind.UNKNOWN,
  });
});

const frames = fc.record<Frame>({
  kind: fc.nat(9),
  number: fc.nat(),
  ref: fc.nat(),
  origin: fc.constantFrom("", "other"),
  header: fc.uint8Array(),
  payload: fc.uint8Array(),
  payloadOmitted: fc.boolean(),
});

test("any frame makes a record that keeps its bytes, its place and its intent", () => {
  fc.assert(
    fc.property(frames, (frame) => {
      const record = recordOf("p", frame, 5);
      const { header, payload, payloadOmitted } = frame;
      expect(record).toMatchObject({ producer: "p", header, payload, payloadOmitted });
      expect([frame.kind, KIND.quarantined]).toContain(record.kind);
      if (frame.kind !== KIND.quarantined && frame.kind !== KIND.signature) expect(record.number).toBe(frame.number);
      else expect(record.number).toBeLessThan(0);
      if (record.kind === KIND.quarantined)
        expect(record).toMatchObject({ intentNumber: frame.ref, intentProducer: frame.origin });
    }),
    { numRuns: 2_000 },
  );
});

test("a batch with damage anywhere loses no byte: frames that are whole are read, the rest is kept as it came", () => {
  const marks = Array.from({ length: 6 }, (_, index) => ({ kind: FRAME_KIND.mark, number: index + 1 }));
  const whole = encodeFrames(marks);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const data = Uint8Array.from(whole);
      data[at] = (data[at] ?? 0) ^ flip;
      const unread: number[] = [];
      const records = [
        ...readBatches([{ producer: "p", first: 1, last: 6, data }], 0, (_, bytes) => unread.push(bytes)),
      ];
      const readNumbers = records.filter(({ kind }) => kind === KIND.mark).map(({ number }) => number);
      expect(readNumbers.length).toBe(5);
      expect(unread).toEqual([whole.length / 6]);
    }),
  );
});
