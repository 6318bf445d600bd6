import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChunkedDecoder } from "./chunked.ts";
import { HttpSyntaxError } from "./errors.ts";
import { Gather } from "./gather.ts";

/** Feeds the pieces; the body and how many bytes belonged to it, -1 if it did not end. */
function decode(pieces: readonly Buffer[]): { body: string; used: number } {
  const decoder = new ChunkedDecoder();
  const body = new Gather();
  let before = 0;
  for (const piece of pieces) {
    const end = decoder.feed(piece, 0, (bytes, from, to) => body.append(bytes, from, to));
    if (end >= 0) return { body: body.take().toString("latin1"), used: before + end };
    before += piece.length;
  }
  return { body: body.take().toString("latin1"), used: -1 };
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const marks = [...new Set([0, ...at.map((mark) => mark % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return marks.slice(1).map((mark, index) => bytes.subarray(marks[index], mark));
}

const text = (value: string): Buffer => Buffer.from(value, "latin1");

describe("the chunked coding", () => {
  it("decodes, stops at the end and drops trailers", () => {
    expect(decode([text("3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nGET")])).toEqual({ body: "abc0123456789", used: 29 });
    expect(decode([text("1\r\nx\r\n0\r\nX-T: Content-Length\r\nb:c\r\n\r\n")]).body).toBe("x");
  });

  it("gives the same for every way of cutting", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), { maxLength: 8 }),
        fc.boolean(),
        fc.array(fc.nat(500), { maxLength: 12 }),
        fc.string({ maxLength: 5 }),
        (chunks, trailer, cuts, after) => {
          const data = chunks.map((chunk) => Buffer.from(chunk).toString("latin1"));
          const coded = `${data.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n${trailer ? "t: v\r\n" : ""}\r\n`;
          const bytes = text(coded + Buffer.from(after).toString("latin1"));
          expect(decode(cut(bytes, cuts))).toEqual({ body: data.join(""), used: coded.length });
        },
      ),
    );
  });

  it.each([
    "\r\n",
    "g\r\n",
    "-1\r\n",
    "+1\r\n",
    "0x1\r\n",
    " 1\r\n",
    "1 \r\n",
    "1;a=b\r\n",
    "1;\r\n",
    "1\n",
    "1\r\r\n",
    "FFFFFFFFF\r\n",
    "000000000\r\n",
    "1\r\nab\r\n",
    "1\r\na\n",
    "1\r\na\r\r",
    "0\r\n\n",
    "0\r\n folded: x\r\n\r\n",
    "0\r\nx\0: y\r\n\r\n",
    "0\r\nx: y\nz: 1\r\n\r\n",
    `0\r\nx: ${"y".repeat(9000)}`,
  ])("refuses %j", (coded) => {
    expect(() => decode([text(coded)])).toThrow(HttpSyntaxError);
  });

  it("reads any bytes without anything but HttpSyntaxError, and never waits for what it has", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.array(fc.nat(80), { maxLength: 6 }), (bytes, cuts) => {
        const outcome = (pieces: Buffer[]): unknown => {
          try {
            return decode(pieces);
          } catch (error) {
            expect(error).toBeInstanceOf(HttpSyntaxError);
            return "refused";
          }
        };
        expect(outcome(cut(Buffer.from(bytes), cuts))).toEqual(outcome([Buffer.from(bytes)]));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("Gather", () => {
  it("keeps a single piece without copying and puts many together", () => {
    const gather = new Gather();
    const whole = Buffer.from("abcdef");
    gather.append(whole, 1, 4);
    const taken = gather.take();
    expect(taken.toString()).toBe("bcd");
    expect(taken.buffer).toBe(whole.buffer);
    for (let index = 0; index < 10_000; index++) gather.append(whole, 0, 1);
    expect(gather.take().toString()).toBe("a".repeat(10_000));
    expect(gather.take().length).toBe(0);
  });
});
