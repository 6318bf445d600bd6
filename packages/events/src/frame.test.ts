import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRAME_KIND, type Frame, MAX_FRAME_BYTES } from "./frame.ts";
import { decodeFrames, encodeFrames } from "./frames.ts";

const anyFrame = fc.record<Frame>({
  kind: fc.integer({ min: 1, max: 6 }),
  number: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  ref: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
  origin: fc.oneof(fc.constant(""), fc.stringMatching(/^[a-z0-9.-]{1,80}$/)),
  header: fc.uint8Array({ maxLength: 300 }),
  payload: fc.uint8Array({ maxLength: 300 }),
  payloadOmitted: fc.boolean(),
});
const plain = (frame: Frame) => ({
  ...frame,
  header: Buffer.from(frame.header).toString("hex"),
  payload: Buffer.from(frame.payload).toString("hex"),
});

describe("a frame", () => {
  it("comes back as it was written, among others", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 10 }), (frames) => {
        const { frames: read, rest } = decodeFrames(encodeFrames(frames));
        expect(rest).toBe(0);
        expect(read.map(plain)).toEqual(frames.map(plain));
      }),
    );
  });

  it("has the layout that is written down", () => {
    const bytes = encodeFrames([
      {
        kind: FRAME_KIND.outcome,
        number: 0x010203040506,
        ref: 7,
        header: Buffer.from("h"),
        payload: Buffer.from("pp"),
      },
    ]);
    expect(bytes.toString("hex")).toBe(
      `15000000${bytes.toString("hex", 4, 8)}0300060504030201070000000000010000006870${"70"}`,
    );
  });

  it("that is cut off is the rest of a stream, and damage in a batch", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 5 }), fc.nat(), (frames, at) => {
        const bytes = encodeFrames(frames);
        const cut = bytes.subarray(0, at % bytes.length);
        const stream = decodeFrames(cut, false);
        const whole = stream.frames.length;
        expect(stream.frames.map(plain)).toEqual(frames.slice(0, whole).map(plain));
        expect(encodeFrames(frames.slice(0, whole)).length + stream.rest).toBe(cut.length);
        const batch = decodeFrames(cut);
        expect(batch.rest).toBe(0);
        if (stream.rest > 0) expect(batch.frames.at(-1)?.kind).toBe(FRAME_KIND.quarantined);
      }),
    );
  });

  it("that is damaged is quarantined with its bytes, and its neighbours are read", () => {
    const three = fc.array(anyFrame, { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(three, fc.nat(), fc.integer({ min: 1, max: 255 }), (frames, at, change) => {
        const [first, middle, last] = frames.map((frame) => encodeFrames([frame]));
        if (first === undefined || middle === undefined || last === undefined) throw new Error("three frames");
        const damaged = Buffer.from(middle);
        damaged[at % damaged.length] = (damaged[at % damaged.length] ?? 0) ^ change;
        const read = decodeFrames(Buffer.concat([first, damaged, last])).frames;
        const [one, , three] = frames;
        expect(read.map(({ kind }) => kind)).toEqual([one?.kind, FRAME_KIND.quarantined, three?.kind]);
        expect(Buffer.from(read[1]?.header ?? []).equals(damaged)).toBe(true);
      }),
    );
  });

  it("is never seen in bytes that are none, whatever they are: nothing is thrown and no byte is lost", () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.uint8Array({ minLength: 100, maxLength: 2_000, max: 3 }),
      fc.constant(new Uint8Array(5_000)),
    );
    fc.assert(
      fc.property(hostile, fc.boolean(), (bytes, final) => {
        const { frames, rest } = decodeFrames(bytes, final);
        const kept = frames.reduce(
          (sum, { kind, header }) => sum + (kind === FRAME_KIND.quarantined ? header.length : 0),
          0,
        );
        expect(kept + rest).toBe(bytes.length);
      }),
    );
  });

  it("with a length beyond the largest one is damage, not something to wait for", () => {
    const bytes = Buffer.alloc(100);
    bytes.writeUInt32LE(MAX_FRAME_BYTES + 1, 0);
    const good = encodeFrames([{ kind: 1, number: 1 }]);
    const { frames, rest } = decodeFrames(Buffer.concat([bytes, good]), false);
    expect([frames.map(({ kind }) => kind), rest]).toEqual([[FRAME_KIND.quarantined, 1], 0]);
  });

  it("gives up looking for a next one when damage looks like ever so many", () => {
    // Each of these begins a frame of 900 KB that ends within the bytes, and whose checksum is wrong.
    const fake = Buffer.alloc(26);
    fake.writeUInt32LE(900_000, 0);
    fake[8] = 2;
    const bytes = Buffer.alloc(1 << 20, fake);
    const { frames } = decodeFrames(bytes);
    expect(frames.reduce((sum, { header }) => sum + header.length, 0)).toBe(bytes.length);
  });
});
