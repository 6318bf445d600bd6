/** node test/bench/guardrails.ts: what guardrails cost, in µs per 2 KB of text, and per piece of a stream. Prints; asserts nothing. */
import { compileScanner, type DetectorChoice, type Place, scanText, Tally, TextStream } from "@weir/guardrails";

const SIZE = 2_048;
const RUNS = 300;
const ROUNDS = 15;

const KINDS = ["email", "phone", "card", "iban", "ssn", "ip", "secrets", "injection"] as const;

const TEXTS = {
  prose:
    "The committee met on Tuesday to discuss the plans for the new library, which is to be built near the river in 2027. Members asked how the budget of 3 million " +
    "would be spent, and what the architects had proposed: a reading room, a café and a garden. ",
  code: "function add(a, b) {\n  const total = a + b; // 12\n  return { total: total, ok: true, url: 'https://example.com/x?y=1' };\n}\n",
  chat: "user: can you tell me why my order 48213 is late?\nassistant: I'm sorry to hear that! Let me look it up: it left on 3 May and should arrive by Friday.\n",
  json: '{"id":"a81c","total":129.5,"items":[{"sku":"X-1","qty":2},{"sku":"Y-22","qty":1}],"address":{"street":"Elm 4","zip":"90210"}}',
  personal:
    "Contact Ann Lee at ann.lee@example.org or +1 415-555-2671; her card 4111 1111 1111 1111 expires 12/27, IP 10.1.2.3. ",
};

/** As a parser makes it: a flat string, not a piece of another. */
const flat = (text: string): string =>
  JSON.parse(JSON.stringify(text.repeat(Math.ceil(SIZE / text.length)).slice(0, SIZE))) as string;

function scannerOf(kinds: readonly (typeof KINDS)[number][], place: Place) {
  const rules = kinds.map((kind) => ({
    detector: { kind } as DetectorChoice,
    action: "flag" as const,
    places: [place],
  }));
  const scanner = compileScanner(rules, place);
  if (scanner === undefined) throw new Error("no scanner");
  return scanner;
}

function bestUs(run: () => void): number {
  let best = Number.MAX_VALUE;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let count = 0; count < RUNS; count += 1) run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / RUNS / 1_000);
  }
  return best;
}

const texts = Object.entries(TEXTS).map(([name, text]) => [name, flat(text)] as const);
const row = (name: string, cells: readonly string[]): void =>
  console.log(name.padEnd(28), ...cells.map((cell) => cell.padStart(10)));
row(
  `µs per ${SIZE} characters`,
  texts.map(([name]) => name),
);
for (const [name, scanner] of [
  ["all, of a request", scannerOf(KINDS, "input")],
  [
    "all but injection, of an answer",
    scannerOf(
      KINDS.filter((kind) => kind !== "injection"),
      "output",
    ),
  ],
  ...KINDS.map((kind) => [kind, scannerOf([kind], "input")] as const),
] as const) {
  const tally = new Tally();
  row(
    name,
    texts.map(([, text]) => bestUs(() => void scanText(scanner, text, tally)).toFixed(1)),
  );
}
const scanner = scannerOf(
  KINDS.filter((kind) => kind !== "injection"),
  "output",
);
const tally = new Tally();
row(
  "a piece of 4 characters",
  texts.map(([, text]) => {
    const whole = bestUs(() => {
      const stream = new TextStream(scanner, tally);
      for (let at = 0; at < text.length; at += 4) stream.push(text.slice(at, at + 4));
      stream.end();
    });
    return (whole / (SIZE / 4)).toFixed(2);
  }),
);
