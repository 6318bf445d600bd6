import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeSse, EventSplitter, readEvent, type SseEvent, SseParser } from "./sse.ts";

const encoder = new TextEncoder();

/** Cuts bytes at the given places. */
const cut = (bytes: Uint8Array, places: readonly number[]): Uint8Array[] => {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.slice(at[index], end));
};
const parse = (chunks: readonly Uint8Array[]): SseEvent[] => {
  const parser = new SseParser();
  return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
};
const of = (text: string): SseEvent[] => parse([encoder.encode(text)]);

const places = fc.array(fc.nat(5000), { maxLength: 8 });
const lineEnd = fc.constantFrom("\n", "\r", "\r\n");

describe("SseParser", () => {
  it("reads fields as the standard says", () => {
    expect(of("data: a\ndata:b\n\n")).toEqual([{ event: "", data: "a\nb" }]);
    expect(of(": note\n\nevent: x\nid: 7\nretry: 10\ndata\n\n")).toEqual([{ event: "x", data: "" }]);
    expect(of("event: x\n\ndata: y\n\n")).toEqual([{ event: "", data: "y" }]);
    expect(of("data:  two spaces\n\n")).toEqual([{ event: "", data: " two spaces" }]);
    expect(of("\ufeffdata: bom\n\n")).toEqual([{ event: "", data: "bom" }]);
    expect(of("\n\n\n: only comments\n\n")).toEqual([]);
  });

  it("shows the last event where its blank line is missing", () => {
    expect(of("data: a\n\ndata: [DONE]")).toEqual([
      { event: "", data: "a" },
      { event: "", data: "[DONE]" },
    ]);
    expect(of('data: {"torn":')).toEqual([]);
  });

  it("reads what was written, for any line ends and cuts, between UTF-8 bytes too", () => {
    const line = fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => !/[\r\n]/.test(text));
    const written = fc.record({
      event: fc.constantFrom("", "message", "é"),
      data: fc.array(line, { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(written, { maxLength: 5 }), lineEnd, places, (events, end, at) => {
        const text = events.map(({ event, data }) =>
          [event === "" ? ": c" : `event: ${event}`, ...data.map((one) => `data: ${one}`), "", ""].join(end),
        );
        const expected = events.map(({ event, data }) => ({ event, data: data.join("\n") }));
        expect(parse(cut(encoder.encode(text.join("")), at))).toEqual(expected);
      }),
    );
  });

  it("reads back what encodeSse wrote", () => {
    const event = fc.record({ event: fc.constantFrom("", "a.b"), data: fc.string() });
    fc.assert(
      fc.property(fc.array(event), places, (events, at) => {
        const bytes = encoder.encode(events.map(encodeSse).join(""));
        expect(parse(cut(bytes, at))).toEqual(
          events.map(({ event: name, data }) => ({ event: name, data: data.replace(/\r\n?/g, "\n") })),
        );
      }),
    );
  });

  it("does not hold an event larger than its limit", () => {
    const parser = new SseParser(1000);
    expect(parser.push(new Uint8Array(900).fill(97))).toEqual([]);
    expect(() => parser.push(new Uint8Array(900).fill(97))).toThrow(WeirError);
  });

  it("takes any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), places, (bytes, at) => void parse(cut(bytes, at))));
  });
});

describe("EventSplitter", () => {
  it("loses and adds no byte, and finds the same events wherever it is cut", () => {
    const text = fc.array(fc.constantFrom("data: x", "é", ":", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n"), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(text, places, (pieces, at) => {
        const bytes = encoder.encode(pieces.join(""));
        const splitter = new EventSplitter();
        const seen: number[] = [];
        const events: SseEvent[] = [];
        for (const chunk of cut(bytes, at)) {
          const whole = splitter.push(chunk);
          if (whole === undefined) continue;
          expect(whole.ends.at(-1)).toBe(whole.bytes.length);
          seen.push(...whole.bytes);
          let start = 0;
          for (const end of whole.ends) {
            const event = readEvent(new TextDecoder().decode(whole.bytes.subarray(start, end)));
            if (event !== undefined) events.push(event);
            start = end;
          }
        }
        expect([...seen, ...splitter.rest()]).toEqual([...bytes]);
        expect(events).toEqual(new SseParser().push(bytes));
      }),
    );
  });
});
