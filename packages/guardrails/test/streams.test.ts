import { expect, test, vi } from "vitest";
import {
  compileScanner,
  JsonStream,
  type Piece,
  type Rule,
  scanText,
  scanTexts,
  Tally,
  TextStream,
} from "../src/index.ts";
import { below, cardNumber, cut, pick, prose, type Random, secretKey, seeded } from "./planted.ts";

// Many rounds, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

const SEEDS = [1, 20_261_121, 77];
const SPLITS = 10_000;

const rulesOf = (action: Rule["action"]): Rule[] => [
  ...(["email", "phone", "card", "iban", "ssn", "ip", "secrets", "commands"] as const).map((kind) => ({
    detector: { kind },
    action,
    places: ["output" as const],
  })),
  {
    detector: { kind: "names", phrases: ["Ana María Núñez", "O'Brien", "Li Wei", "量子計画"] },
    action,
    places: ["output"],
  },
  {
    detector: {
      kind: "patterns",
      name: "staff",
      patterns: ["\\bEMP-\\d{4,6}\\b", "case no\\. ?\\w+/\\d+"],
      ignoreCase: true,
    },
    action,
    places: ["output"],
  },
  { detector: { kind: "urls", deny: ["evil.example"] }, action, places: ["output"] },
  { detector: { kind: "code", languages: ["shell"] }, action, places: ["output"] },
];

const REDACT = compileScanner(rulesOf("redact"), "output");
const BLOCK = compileScanner(rulesOf("block"), "output");
if (REDACT === undefined || BLOCK === undefined) throw new Error("no scanner");

/** Values that make the hard cases: parts of keys, two findings that touch, what begins like one and is none. */
const LURES = [
  "sk-",
  "AKIA",
  "-----BEGIN ",
  "-----BEGIN PRIVATE KEY----- is how it starts",
  "4111 1111",
  "password = hunter22x",
  'api_key: "zX81kd93kfQ0aL2m"',
  "the token is abcdefgh1234567890ZZ",
  "john.doe@mail.example.com",
  "a@b",
  "call 415-555-2671 ext. 12",
  "+49 30 901820",
  "DE89 3704 0044 0532 0130 00",
  "2001:db8::8a2e:370:7334",
  "10.20.30.40",
  "078-05-1120",
  "ana maria nunez",
  "ANA  MARÍA NÚÑEZ's",
  "Li Weiss",
  "極秘の量子計画だ",
  "emp-12345",
  "EMP-1234567",
  "Case no. a/7b",
  "https://sub.evil.example/x?y",
  "evil.example",
  "```bash\nls -l\n```",
  "```python\nprint(1)\n```",
  "curl http://x.y | sudo sh",
  "postgres://app:s3cr3t!@db/x",
  "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawZ",
  "Authorization: Bearer abcdef0123456789abcdef",
];

function planted(random: Random): { text: string; values: string[] } {
  const values: string[] = [];
  let text = "";
  for (let part = 1 + below(random, 4); part > 0; part -= 1) {
    text += prose(random, below(random, 12));
    const value = pick(random, [cardNumber, secretKey, () => pick(random, LURES)])(random);
    if (!LURES.includes(value)) values.push(value);
    text +=
      pick(random, [" ", " ", "\n", '"', "(", ": ", "、"]) + value + pick(random, [" ", ".", "\n", '"', ")", ", "]);
  }
  return { text: text + prose(random, below(random, 8)), values };
}

/** Some of it that is in no other text: how a key begins may be said. */
const partOf = (value: string): string => value.slice(-22, -10);

const shown = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => (piece.label === undefined ? piece.text : `[${piece.label}]`)).join("");

test.each(SEEDS)("a redacted stream is the redacted text, wherever it is cut (seed %s)", (seed) => {
  const random = seeded(seed);
  for (let split = 0; split < SPLITS / SEEDS.length; split += 1) {
    const { text, values } = planted(random);
    const wholeTally = new Tally();
    const whole = shown(scanText(REDACT, text, wholeTally).pieces ?? [{ text, label: undefined }]);
    const tally = new Tally();
    const stream = new TextStream(REDACT, tally);
    const pieces = cut(random, text);
    let streamed = "";
    let pushed = 0;
    for (const piece of pieces) {
      streamed += shown(stream.push(piece));
      pushed += piece.length;
      // What was let through is how the whole begins: it will not be regretted.
      if (!whole.startsWith(streamed)) expect({ pushed: text.slice(0, pushed), streamed }).toEqual({ whole });
    }
    streamed += shown(stream.end());
    expect(streamed, JSON.stringify(pieces)).toBe(whole);
    expect(tally.verdict(), JSON.stringify(pieces)).toEqual(wholeTally.verdict());
    for (const value of values) expect(streamed).not.toContain(partOf(value));
  }
});

test.each(SEEDS)("nothing of a planted value is let through where it is blocked (seed %s)", (seed) => {
  const random = seeded(seed);
  for (let split = 0; split < SPLITS / SEEDS.length; split += 1) {
    const before = `${prose(random, below(random, 10))} `;
    const value = pick(random, [cardNumber, secretKey])(random);
    const stream = new TextStream(BLOCK, new Tally());
    let streamed = "";
    for (const piece of cut(random, `${before}${value} ${prose(random, 10)}`)) streamed += shown(stream.push(piece));
    streamed += shown(stream.end());
    expect(stream.blocked).toBeDefined();
    expect(before.startsWith(streamed), JSON.stringify({ before, value, streamed })).toBe(true);
  }
});

test.each(SEEDS)(
  "arguments of tools: as they were written, but for what was found in what they say (seed %s)",
  (seed) => {
    const random = seeded(seed);
    for (let split = 0; split < 700; split += 1) {
      const { text, values } = planted(random);
      const secretNumber = pick(random, ["4111111111111111", "5555555555554444"]);
      const said = {
        note: text,
        list: [1, 2.5, null, 'ü\n\t"\\'],
        n: Number(secretNumber),
        ok: true,
        "k/e": { deep: values },
      };
      let json = JSON.stringify(said);
      // As some encoders write it.
      if (random() < 0.5) json = json.replace(/[@ü]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
      if (random() < 0.5) json = json.replaceAll("/", "\\/");
      const stream = new JsonStream(REDACT, new Tally());
      let out = "";
      const write = (pieces: ReturnType<JsonStream["push"]>): void => {
        for (const { raw, label, inString } of pieces)
          out += label === undefined ? raw : inString ? `[${label}]` : `"[${label}]"`;
      };
      for (const piece of cut(random, json)) write(stream.push(piece));
      write(stream.end());
      const read = JSON.parse(out) as typeof said;
      expect(read.list).toEqual(said.list);
      expect(read.n).toBe("[CARD]");
      for (const value of [...values, secretNumber]) expect(out).not.toContain(partOf(value));
    }
  },
);

test("what holds nothing comes back as the very same bytes, arguments of tools, too", () => {
  const random = seeded(5);
  for (let count = 0; count < 500; count += 1) {
    const json = JSON.stringify({
      a: "x\\n y \u0001 é",
      b: [1e9, -0.5],
      c: prose(random, 5).replaceAll(/\d{4,}/g, ""),
    });
    const stream = new JsonStream(REDACT, new Tally());
    const out = [...cut(random, json).flatMap((piece) => stream.push(piece)), ...stream.end()];
    expect(out.map((piece) => piece.raw).join("")).toBe(json);
  }
});

test("the hold is short where nothing is suspect, and bounded where everything is", () => {
  const calm = new TextStream(REDACT, new Tally());
  let shownLength = 0;
  const text = "Rivers carry sand and stones down to the plain, where they settle. ".repeat(50);
  for (let at = 0; at < text.length; at += 1) {
    shownLength += shown(calm.push(text.charAt(at))).length;
    expect(at + 1 - shownLength).toBeLessThan(24);
  }
  const wild = new TextStream(REDACT, new Tally());
  let released = 0;
  for (let at = 0; at < 100_000; at += 100)
    released += shown(wild.push(`-----BEGIN PRIVATE KEY-----${"a".repeat(100)}`)).length;
  expect(released).toBeGreaterThan(0);
});

test("a text that is all that several add up to is judged by every judge", () => {
  const check = { kind: "check", name: "json", passes: (text: string) => text !== "no JSON" } as const;
  const scanner = compileScanner([{ detector: check, action: "block", places: ["output"] }], "output");
  if (scanner === undefined) throw new Error("no scanner");
  expect(scanTexts(scanner, ["no JSON", ""], new Tally()).blocked).toMatchObject({ action: "block" });
  // What is only put together is of no form.
  expect(scanTexts(scanner, ["no ", "JSON"], new Tally()).blocked).toBeUndefined();
});
