import fc from "fast-check";
import { expect, test } from "vitest";
import { Redactor } from "./redaction.ts";

const redactor = new Redactor();
const redacted = (type: string, text: string): string | undefined => {
  const bytes = redactor.redacted(type, new TextEncoder().encode(text));
  return bytes && new TextDecoder().decode(bytes);
};

test("personal data and secrets are replaced, wherever in a body they are; the rest stays as it was", () => {
  const body = {
    messages: [
      { role: "user", content: "write to ann.lee@example.com, card 4111 1111 1111 1111" },
      { role: "user", content: [{ type: "text", text: "at \u0061nn@example.org" }] },
    ],
    user: "ann@example.net",
  };
  const text = redacted("application/json; charset=utf-8", JSON.stringify(body)) ?? "";
  expect(JSON.parse(text)).toEqual({
    messages: [
      { role: "user", content: "write to [EMAIL], card [CARD]" },
      { role: "user", content: [{ type: "text", text: "at [EMAIL]" }] },
    ],
    user: "[EMAIL]",
  });
  // However it is written in JSON.
  expect(redacted("application/json", '{"a":"ann\\u0040example.com"}')).toBe('{"a":"[EMAIL]"}');
  const harmless = '{ "a" : "nothing here",\n "b": 1.50 }';
  expect(redacted("application/json", harmless)).toBe(harmless);
  expect(redacted("text/plain", "call ann@example.com")).toBe("call [EMAIL]");
  expect(redacted("application/json", "<html>ann@example.com</html>")).toBe("<html>[EMAIL]</html>");
});

test("numbers and names of members are read, too", () => {
  const body = (input: string): string => `{"created":1763754281,"content":[{"type":"tool_use","input":${input}}]}`;
  const kept = (input: string): unknown => JSON.parse(redacted("application/json", body(input)) ?? "");
  const expected = (input: object): object => ({ created: 1763754281, content: [{ type: "tool_use", input }] });
  expect(kept('{"card":4111111111111111,"n":12345678}')).toEqual(expected({ card: "[CARD]", n: 12345678 }));
  // More digits than a number has.
  expect(kept('{"card":6304000000000000000}')).toEqual(expected({ card: "[CARD]" }));
  expect(kept('{"ann@example.com":{"at":"bob@example.com","4111111111111111":1}}')).toEqual(
    expected({ "[EMAIL]": { at: "[EMAIL]", "[CARD]": 1 } }),
  );
});

test("what is no text that is read here is not kept", () => {
  expect(redacted("application/protobuf; proto=weir.common.v1.ChatRequest", "x")).toBeUndefined();
  expect(redacted("audio/mpeg", "x")).toBeUndefined();
  expect(() => redactor.redacted("text/plain", Uint8Array.of(0xff, 0xfe))).toThrow();
});

test("what a stream tells in pieces is found, however it is cut; other parts of it come between", () => {
  const said = "please write to ann.lee@example.com today";
  fc.assert(
    fc.property(fc.array(fc.nat(said.length), { maxLength: 12 }), fc.boolean(), (cuts, twoChoices) => {
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), said.length];
      const events = bounds.slice(1).flatMap((end, place) => {
        const piece = said.slice(bounds[place], end);
        const own = { choices: [{ index: 0, delta: { content: piece } }] };
        return twoChoices ? [own, { choices: [{ index: 1, delta: { content: "x" } }] }] : [own];
      });
      const stream = `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")}data: [DONE]\n\n`;
      const kept = redacted("text/event-stream", stream) ?? "";
      const text = kept
        .split("\n")
        .filter((line) => line.startsWith("data: {"))
        .map((line) => JSON.parse(line.slice(6)) as { choices: { index: number; delta: { content: string } }[] })
        .flatMap(({ choices }) => choices)
        .filter(({ index }) => index === 0)
        .map(({ delta }) => delta.content)
        .join("");
      expect(text).toBe("please write to [EMAIL] today");
      expect(kept.endsWith("data: [DONE]\n\n")).toBe(true);
    }),
  );
});

test("whatever the bytes are, it answers or refuses", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("application/json", "text/event-stream", "text/plain", "x/y"),
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((json) => `data: ${json}\n\ndata: [DONE]\n`),
      ),
      (type, text) => {
        const kept = redacted(type, text);
        if (type === "x/y") expect(kept).toBeUndefined();
        else expect(typeof kept).toBe("string");
      },
    ),
  );
});
