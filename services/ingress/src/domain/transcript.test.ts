import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_TEXT_BYTES, Transcript } from "./transcript.ts";

const bytesOf = (size: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, at) => (at * 31 + seed) & 0xff);

const sizes = fc.oneof(
  fc.nat(64),
  fc.nat(MAX_TEXT_BYTES + 100),
  fc.integer({ min: -2, max: 2 }).map((by) => MAX_TEXT_BYTES + by),
);

test("whatever the sizes: each text is there whole or not at all, and together they fit", () => {
  fc.assert(
    fc.property(sizes, fc.array(fc.oneof(sizes, fc.nat(2_000)), { maxLength: 12 }), (requestSize, pieceSizes) => {
      const request = bytesOf(requestSize, 1);
      const transcript = new Transcript("application/json", request);
      const pieces = pieceSizes.map((size, index) => bytesOf(size, index));
      for (const piece of pieces) transcript.add("text/event-stream", piece);
      const whole = Buffer.concat(pieces);

      const kept = transcript.request;
      expect(kept.size).toBe(requestSize);
      expect(kept.bytes === undefined).toBe(requestSize > MAX_TEXT_BYTES);
      const room = MAX_TEXT_BYTES - (kept.bytes?.length ?? 0);
      const { answer } = transcript;
      expect(answer === undefined).toBe(pieces.length === 0);
      if (answer === undefined) return;
      expect(answer.size).toBe(whole.length);
      expect(answer.bytes === undefined).toBe(whole.length > room);
      if (answer.bytes !== undefined) expect(whole.equals(answer.bytes)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("what a piece's buffer becomes later changes nothing", () => {
  const transcript = new Transcript("application/json", bytesOf(2, 0));
  const shared = Buffer.from("data: 1\n\n");
  transcript.add("text/event-stream", shared);
  shared.fill(0);
  expect(Buffer.from(transcript.answer?.bytes ?? []).toString()).toBe("data: 1\n\n");
});
