/** Values as somebody writes them who does not want them to be found; and the same texts without a value, in which nothing is. */
import { expect, test, vi } from "vitest";
import { compileScanner, type Piece, PLACES, type Rule, scanText, scanTexts, Tally, TextStream } from "../src/index.ts";
import { below, cut, pick, type Random, seeded } from "./planted.ts";

// Many rounds, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

const RULES: Rule[] = (["email", "phone", "card", "iban", "ssn", "ip", "secrets"] as const).map((kind) => ({
  detector: { kind },
  action: "redact",
  places: PLACES,
}));
const compiled = compileScanner(RULES, "output");
if (compiled === undefined) throw new Error("no scanner");
const scanner = compiled;

const VALUES = [
  "4111 1111 1111 1111",
  "5555555555554444",
  "4012-8888-8888-1881",
  "ann.lee@example.org",
  "078-05-1120",
  "GB82 WEST 1234 5698 7654 32",
  "sk-proj-abcdefghij0123456789ABCDEFGHIJ",
  "ghp_0123456789abcdefghijABCDEFGHIJ012345",
  "192.168.17.45",
];

const wide = (text: string): string => text.replace(/[!-~]/g, (one) => String.fromCharCode(one.charCodeAt(0) + 0xfee0));
const each = (text: string, write: (one: string) => string): string => text.split("").map(write).join("");
const digits = (text: string, zero: number): string =>
  text.replace(/\d/g, (one) => String.fromCodePoint(zero + Number(one)));

const WAYS: Readonly<Record<string, (text: string, random: Random) => string>> = {
  "full width": wide,
  "Arabic digits": (text) => digits(text, 0x660),
  "Devanagari digits": (text) => digits(text, 0x966),
  "mathematical digits": (text) => digits(text, 0x1d7ce),
  "zero-width spaces": (text) => text.split("").join("\u200b"),
  "soft hyphens and joiners": (text, random) =>
    each(text, (one) => one + pick(random, ["", "\u00ad", "\u200d", "\u2060\u2060", "\ufeff"])),
  "JSON escapes": (text) => each(text, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`),
  "some JSON escapes": (text, random) =>
    each(text, (one) => (random() < 0.3 ? `\\u${one.charCodeAt(0).toString(16).padStart(4, "0").toUpperCase()}` : one)),
  "hexadecimal escapes": (text) => each(text, (one) => `\\x${one.charCodeAt(0).toString(16)}`),
  "URL escapes": (text) => each(text, (one) => `%${one.charCodeAt(0).toString(16)}`),
  "as a URL's parameter": (text) => encodeURIComponent(text),
  "HTML entities": (text, random) =>
    each(text, (one) => (random() < 0.5 ? `&#${one.charCodeAt(0)};` : `&#x${one.charCodeAt(0).toString(16)};`)),
  base64: (text) => Buffer.from(text).toString("base64"),
  "base64 in a sentence": (text) => Buffer.from(`Here it is: ${text} – use it.`).toString("base64"),
  base64url: (text) => Buffer.from(`here: ${text}`).toString("base64url"),
};
/** What a way does to a value that is none any more. */
const NOT_SAME: Readonly<Record<string, readonly string[]>> = {
  // In an address or a key other scripts' digits are other letters.
};

const shown = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => (piece.label === undefined ? piece.text : `<${piece.label}>`)).join("");

test.each(Object.keys(WAYS))("%s hides no value, in one text and in pieces of a stream", (way) => {
  const random = seeded(20_261_121);
  const missed = new Set<string>();
  for (const value of VALUES) {
    if (NOT_SAME[way]?.includes(value) === true) continue;
    for (let round = 0; round < 40; round += 1) {
      const hidden = (WAYS[way] as (text: string, random: Random) => string)(value, random);
      const text = pick(random, [
        `${hidden}`,
        `It is ${hidden} , you know.`,
        `(${hidden})`,
        `value: ${hidden}\nand more`,
      ]);
      const whole = scanText(scanner, text, new Tally()).pieces;
      const cuts = (whole ?? []).filter(({ label }) => label !== undefined).map((piece) => piece.text);
      if (!cuts.some((one) => one.length >= hidden.length * 0.9)) missed.add(`${value}: ${text}`);
      const stream = new TextStream(scanner, new Tally());
      let streamed = "";
      for (const piece of cut(random, text)) streamed += shown(stream.push(piece));
      streamed += shown(stream.end());
      expect(streamed, text).toBe(shown(whole ?? [{ text, label: undefined }]));
    }
  }
  expect([...missed]).toEqual([]);
});

test("what begins in one part and ends in another is cut in both, whatever stands before it", () => {
  const random = seeded(5);
  for (const value of VALUES) {
    for (let round = 0; round < 60; round += 1) {
      const parts = [`Well, it is `];
      let rest = value;
      while (rest !== "") {
        const size = 1 + below(random, rest.length);
        const piece = rest.slice(0, size);
        if (random() < 0.4) parts.push(piece);
        else parts[parts.length - 1] += piece;
        rest = rest.slice(size);
      }
      if (random() < 0.5) parts.push(" as you know");
      else parts[parts.length - 1] += ", as you know";
      const { pieces, blocked } = scanTexts(scanner, parts, new Tally());
      expect(blocked).toBeUndefined();
      const out = parts.map((text, index) => shown(pieces[index] ?? [{ text, label: undefined }]));
      expect(out.join("")).toMatch(/^Well, it is <[A-Z_]+>,? as you know$/);
    }
  }
});

test("a part is scanned by itself, too", () => {
  const { pieces } = scanTexts(
    scanner,
    ["the code X9", "4111 1111 1111 1111", " ann@example.org and", " bob@example.org"],
    new Tally(),
  );
  expect(pieces.map((list) => list && shown(list))).toEqual([undefined, "<CARD>", " <EMAIL> and", " <EMAIL>"]);
});

test("texts of the same look in which nothing is stay as they are", () => {
  for (const text of [
    "在二〇二六年，我们卖出了４５６件商品。",
    "٢٠٢٦ سنة جديدة، ١٢ شهرا",
    "Emoji 👩‍👩‍👧 ❤️ and a soft\u00adhy\u00adphen\u00adated word, 5 m² and x₁₂",
    "100%25 of it, a%20b, %7Bx%7D",
    'const s = "\\u00e9\\u0041\\x41";',
    "aGVsbG8gd29ybGQsIHRoaXMgaXMgYSBzZW50ZW5jZQ==",
    "thisIsAVeryLongIdentifierInCamelCaseThatLooksLikeBase64AndIsNone",
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
  ])
    expect(scanText(scanner, text, new Tally()).pieces, text).toBeUndefined();
});
