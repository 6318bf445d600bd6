import { Secret } from "@weir/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";
import { scrubForeign, scrubText } from "./scrub.ts";

const CANARIES = {
  weirKey: "wk_CANARYabcdef0123456789",
  openaiKey: "sk-proj-CANARYabcdef0123456789",
  googleKey: "AIzaCANARYabcdef0123456789",
  password: "CANARY-password",
  prompt: "CANARY my secret illness is",
  jwt: "eyJhbGciOiJIUzI1NiJ9.eyJDQU5BUlkiOiJDQU5BUlkifQ.CANARYsignature0123456789",
  pem: "-----BEGIN RSA PRIVATE KEY-----\nCANARY0123456789CANARY0123456789CANARY0123456789\n-----END RSA PRIVATE KEY-----",
};

const PERSONAL = {
  "ann.lee@CANARY-example.org": "[email]",
  "4111 1111 1111 1111": "[card]",
  "5555555555554444": "[card]",
  "078-05-1120": "[ssn]",
  "GB82 WEST 1234 5698 7654 32": "[iban]",
  "+44 20 7946 0958": "[phone]",
  "(415) 555-2671": "[phone]",
};

function lines(write: (log: ReturnType<typeof createLogger>) => void): string {
  let written = "";
  write(createLogger("test", "trace", { write: (line) => void (written += line) }));
  for (const line of written.trimEnd().split("\n")) JSON.parse(line); // each stays JSON
  return written;
}

test.each<[string, (log: ReturnType<typeof createLogger>) => void]>([
  ["a message", (log) => log.info(`called with ${CANARIES.weirKey} and ${CANARIES.openaiKey}`)],
  ["a message with values", (log) => log.info("called with %s %o", CANARIES.weirKey, { messages: [CANARIES.prompt] })],
  ["a header line", (log) => log.info(`authorization: Bearer CANARYtoken\r\nx-api-key: CANARYkey\r\n`)],
  [
    "a list of header lines",
    (log) => log.info({ lines: ["Authorization", "Basic CANARY", "X-Api-Key", "CANARY"] }, "in"),
  ],
  ["headers as an object", (log) => log.info({ headers: { authorization: "CANARY", "X-API-Key": "CANARY" } }, "in")],
  ["a URL", (log) => log.info(`postgres://weir:${CANARIES.password}@db:5432/weir and https://x/?key=CANARY`)],
  ["a Google key", (log) => log.warn({ url: `https://g/v1?x=${CANARIES.googleKey}` }, "called")],
  ["a body, deep", (log) => log.info({ a: [{ b: { messages: [{ content: CANARIES.prompt }] } }] }, "in")],
  [
    "a prompt by any usual name",
    (log) => log.info({ prompt: CANARIES.prompt, input: [CANARIES.prompt], text: CANARIES.prompt }, "in"),
  ],
  ["bytes", (log) => log.info({ frame: Buffer.from(CANARIES.prompt) }, "in")],
  ["a map", (log) => log.info({ m: new Map([["api_key", CANARIES.password]]) }, "in")],
  [
    "a Secret",
    (log) => log.info({ value: new Secret(CANARIES.password), list: [new Secret(CANARIES.password)] }, "in"),
  ],
  ["a child's bindings", (log) => log.child({ authorization: "CANARY", note: CANARIES.weirKey }).info("in")],
  [
    "a driver's error",
    (log) =>
      log.error(
        { err: Object.assign(new Error("failed"), { parameters: [CANARIES.prompt], detail: CANARIES.prompt }) },
        "in",
      ),
  ],
  ["an error alone", (log) => log.error(new Error(`bad key ${CANARIES.weirKey}`))],
  ["an error under another name", (log) => log.error({ problem: new Error(`bad ${CANARIES.openaiKey}`) }, "in")],
  ["an error's cause", (log) => log.error(new Error("outer", { cause: new Error(`inner ${CANARIES.weirKey}`) }))],
  [
    "what JSON.parse quotes",
    (log) => {
      try {
        JSON.parse(CANARIES.prompt);
      } catch (error) {
        log.error(error, "in");
      }
    },
  ],
  ["a token", (log) => log.info(`got ${CANARIES.jwt}`)],
  ["a private key", (log) => log.info({ problem: `bad key ${CANARIES.pem} there` }, "in")],
  ["a key as a name", (log) => log.info({ byKey: { [CANARIES.weirKey]: 1 } }, "in")],
])("no secret gets into a log by %s", (_name, write) => {
  expect(lines(write)).not.toContain("CANARY");
});

test.each(Object.entries(PERSONAL))("no %s gets into a log by what is told of in trouble", (value, mark) => {
  for (const write of [
    (log: ReturnType<typeof createLogger>) => log.error(new Error(`the provider said: ${value} is wrong`)),
    (log: ReturnType<typeof createLogger>) => log.info({ err: new Error("outer", { cause: new Error(value) }) }, "in"),
    (log: ReturnType<typeof createLogger>) => log.warn({ why: `no: ${value}`, list: [value] }, `in: ${value}`),
    (log: ReturnType<typeof createLogger>) => log.error({ deep: { map: new Map([["x", `<${value}>`]]) } }, "in"),
  ]) {
    const written = lines(write);
    expect(written).not.toContain(value);
    expect(written).toContain(mark);
  }
});

test("what looks like personal data and is none stays in warnings", () => {
  for (const text of [
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "01931b66-7d3a-7b2e-8c4d-4111111111111",
    "2026-11-21T18:00:00.123Z",
    "connect ECONNREFUSED 192.168.17.45:5432",
    "took 1780000000000 ns, 4111111111111112 bytes",
    "version 1.2.3-beta.4, 100-200-300",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  ])
    expect((JSON.parse(lines((log) => log.warn({ text: undefined, why: text }, "in"))) as { why: string }).why).toBe(
      text,
    );
});

test("no text makes scrubbing more than linear", () => {
  const steps = (text: string): number => {
    const start = process.hrtime.bigint();
    scrubForeign(text);
    return Number(process.hrtime.bigint() - start);
  };
  for (const part of [
    "a",
    "a@",
    "a.b@",
    "1",
    "1-",
    "4111 ",
    "GB82",
    "GB82 ",
    "+1 ",
    "(415) ",
    "eyJ",
    "sk-",
    "-----BEGIN PRIVATE KEY-----",
    "://a:",
    "?key=",
    "authorization",
  ]) {
    const best = (length: number): number =>
      Math.min(...[0, 1, 2].map(() => steps(part.repeat(Math.ceil(length / part.length)))));
    // Sixteen times the text; quadratic would be 256 times as long.
    const growth = (): number => best(65_536) / best(4_096);
    expect(
      [growth, growth, growth].some((measure) => measure() < 100),
      part,
    ).toBe(true);
  }
});

test("what helps stays: reasons, codes, numbers, names", () => {
  const written = lines((log) =>
    log.warn(
      {
        requestId: "r-1",
        inputTokens: 12,
        cost: 5n,
        model: "gpt-4o",
        err: Object.assign(new Error("no"), { code: "ECONNREFUSED" }),
      },
      "request",
    ),
  );
  expect(JSON.parse(written)).toMatchObject({
    level: "warn",
    service: "test",
    msg: "request",
    requestId: "r-1",
    inputTokens: 12,
    cost: "5",
    model: "gpt-4o",
    err: { type: "Error", message: "no", code: "ECONNREFUSED" },
  });
});

test("whatever is logged, the line is one line of JSON", () => {
  fc.assert(
    fc.property(
      fc.anything({ withMap: true, withSet: true, withTypedArray: true, withDate: true }),
      fc.string(),
      (value, text) => {
        const written = lines((log) => log.info({ value }, text));
        expect(written.split("\n")).toHaveLength(2);
      },
    ),
  );
});

test("a circular object is cut, not followed forever", () => {
  const circle: Record<string, unknown> = { name: "a" };
  circle["self"] = circle;
  expect(lines((log) => log.info({ circle }, "in"))).toContain("[redacted]");
});

test("text without secrets is left as it is", () => {
  for (const text of ["ask-me-anything", "task-runner-123456", "model gpt-4o-mini", "http://host:8080/path"]) {
    expect(scrubText(text)).toBe(text);
  }
});
