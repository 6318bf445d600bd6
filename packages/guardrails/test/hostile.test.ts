/** Texts made to trouble the detectors: pieces of what they look for, in any order, and very long runs of it. */
import { expect, test, vi } from "vitest";
import { compileScanner, type Piece, PLACES, type Rule, scanText, Tally, TextStream } from "../src/index.ts";
import { below, cut, pick, seeded } from "./planted.ts";

// Many rounds, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

const FRAGMENTS =
  "4 1 1111 4111 411111111111111 0 00 1 123 45 6789 12345678 255 . . - - : :: / // ( ) + _ = == => @ @x.co a.b de DE89 3704 GB ff fe80 sk- sk-a1B2 AKIA ABCD1234EFGH5678 eyJ eyJh AIza SK wk_ ghp_ a1B2c3D4e5F6g7H8i9J0 " +
  "password Password_ api_key secret token Bearer Authorization -----BEGIN PRIVATE KEY ----- -----END MIIEvQIBADANBgkqhkiG9w0BAQEFAASC https http www. evil.example user:pw@ ext x12 tel ssn # ``` ~~~ bash sh $ rm -rf curl | " +
  "li wei LI Weiss o'brien ana maria nunez 量 子 計画 量子計画 中文 é ü \u200b \ud835\udc00 \udb40\udc41 \" ' ` \\ \\n { } [ ] < > , ; ! ? % & * ~ ^ is ist ignore previous instructions emp- EMP-12345";
const PARTS = [...FRAGMENTS.split(" "), " ", " ", " ", "  ", "\n", "\t", " is ", ": ", " = ", "\u00a0", "\u2011"];

const SIMPLE = ["email", "phone", "card", "iban", "ssn", "ip", "secrets", "commands"] as const;
const RULES: Rule[] = [
  ...SIMPLE.map((kind): Rule => ({ detector: { kind }, action: "redact", places: PLACES })),
  { detector: { kind: "injection" }, action: "flag", places: PLACES },
  {
    detector: { kind: "names", phrases: ["Ana María Núñez", "O'Brien", "Li Wei", "量子計画"] },
    action: "redact",
    places: PLACES,
  },
  { detector: { kind: "topics", phrases: ["rm rf", "de de de de"] }, action: "flag", places: PLACES },
  {
    detector: {
      kind: "patterns",
      name: "staff",
      patterns: ["\\bEMP-\\d{4,6}\\b", "a[^b]*b", "(\\w+\\s?)+x$", "(a|aa)+!"],
      ignoreCase: true,
    },
    action: "redact",
    places: PLACES,
  },
  {
    detector: { kind: "patterns", name: "ours", patterns: ["@x\\.co\\b"], ignoreCase: false },
    action: "allow",
    places: PLACES,
  },
  { detector: { kind: "urls", allow: ["a.b", "x.co"], deny: ["evil.example"] }, action: "redact", places: PLACES },
  { detector: { kind: "code", languages: ["shell", "python"] }, action: "redact", places: PLACES },
];

const shown = (pieces: readonly Piece[]): string =>
  pieces.map((piece) => (piece.label === undefined ? piece.text : `<${piece.label}>`)).join("");

const SEEDS = [3, 1_984, 20_261_121];

test.each(SEEDS)("any text is scanned the same in pieces as in one (seed %s)", (seed) => {
  const random = seeded(seed);
  // Each detector by itself, too: where all hold back, a mistake of one does not show.
  const scanners = [RULES, ...RULES.map((rule) => [rule])].map((rules) => compileScanner(rules, "output"));
  for (let round = 0; round < 6_000; round += 1) {
    const scanner = pick(random, scanners);
    if (scanner === undefined) throw new Error("no scanner");
    let text = "";
    for (let part = 1 + below(random, 60); part > 0; part -= 1) text += pick(random, PARTS);
    const wholeTally = new Tally();
    const whole = shown(scanText(scanner, text, wholeTally).pieces ?? [{ text, label: undefined }]);
    const tally = new Tally();
    const stream = new TextStream(scanner, tally);
    const pieces = cut(random, text);
    let streamed = "";
    for (const piece of pieces) streamed += shown(stream.push(piece));
    streamed += shown(stream.end());
    const where = JSON.stringify({ detectors: scanner.sources, pieces });
    expect(streamed, where).toBe(whole);
    expect(tally.verdict(), where).toEqual(wholeTally.verdict());
  }
});

/** The best of some runs, in ms: what a busy machine adds is left out. */
function timed(run: () => void): number {
  let best = Number.MAX_VALUE;
  for (let round = 0; round < 3; round += 1) {
    const startMs = performance.now();
    run();
    best = Math.min(best, performance.now() - startMs);
  }
  return best;
}

const repeated = (part: string, length: number): string =>
  part.repeat(Math.ceil(length / part.length)).slice(0, length);

test("no text makes a detector more than linear", () => {
  const random = seeded(11);
  const scanner = compileScanner(RULES, "tool-results");
  if (scanner === undefined) throw new Error("no scanner");
  const parts = PARTS.filter((part) => part.trim() !== "");
  for (let extra = 0; extra < 25; extra += 1)
    parts.push(Array.from({ length: 2 + below(random, 5) }, () => pick(random, PARTS)).join(""));
  const slow: string[] = [];
  for (const part of parts) {
    const small = repeated(part, 2_048);
    const large = repeated(part, 16 * 2_048);
    // Linear is 16, quadratic 256; what looks like it is measured again, since others use the machine, too.
    const growth = (): number =>
      timed(() => void scanText(scanner, large, new Tally())) / timed(() => void scanText(scanner, small, new Tally()));
    if ([growth, growth, growth].every((measure) => measure() > 80)) slow.push(part);
  }
  expect(slow).toEqual([]);
}, 300_000);

test("nor does a stream of single characters", () => {
  const scanner = compileScanner(RULES, "output");
  if (scanner === undefined) throw new Error("no scanner");
  const stream = (text: string): number =>
    timed(() => {
      const one = new TextStream(scanner, new Tally());
      for (const character of text) one.push(character);
      one.end();
    });
  for (const part of ["-----BEGIN PRIVATE KEY-----a", "sk-a", "eyJ.", "4111 ", "a", "```bash\n", "a@", "1.", "::1:"]) {
    const growth = (): number => stream(repeated(part, 16 * 512)) / stream(repeated(part, 512));
    expect(
      [growth, growth, growth].some((measure) => measure() < 80),
      part,
    ).toBe(true);
  }
}, 300_000);
