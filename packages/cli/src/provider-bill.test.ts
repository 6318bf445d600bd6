import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UsageError } from "./command.ts";
import { driftBasisPoints, driftOf, readBill } from "./provider-bill.ts";

describe("a provider's bill", () => {
  test("is read as OpenAI's API tells it", () => {
    const page = {
      object: "page",
      data: [
        {
          object: "bucket",
          start_time: 1_780_000_000,
          results: [
            { amount: { value: 1.25, currency: "usd" }, line_item: "gpt-4o-2024-08-06, input" },
            { amount: { value: 1e-7, currency: "usd" }, line_item: "gpt-4o-2024-08-06, output" },
          ],
        },
      ],
    };
    expect(readBill(JSON.stringify(page))).toEqual([
      { day: "2026-05-28", model: "gpt-4o-2024-08-06", nanos: 1_250_000_000n },
      { day: "2026-05-28", model: "gpt-4o-2024-08-06", nanos: 100n },
    ]);
  });

  test("is read as Anthropic's API tells it, in hundredths of dollars", () => {
    const page = {
      data: [
        {
          starting_at: "2026-05-28T00:00:00Z",
          results: [{ amount: "123.45", currency: "USD", model: "claude-haiku-4-5" }],
        },
      ],
    };
    expect(readBill(JSON.stringify(page))).toEqual([
      { day: "2026-05-28", model: "claude-haiku-4-5", nanos: 1_234_500_000n },
    ]);
  });

  test("is read from a table, whatever else is in it", () => {
    const text = 'Date,Project,Model,Cost\r\n2026-05-28,"a, ""b""",gpt-4o,$1.5\n2026-05-29,x,gpt-4o,-0.5\n';
    expect(readBill(text)).toEqual([
      { day: "2026-05-28", model: "gpt-4o", nanos: 1_500_000_000n },
      { day: "2026-05-29", model: "gpt-4o", nanos: -500_000_000n },
    ]);
  });

  test.each([
    "",
    "{}",
    "[]",
    "{",
    "a,b\n1,2\n",
    "date,model,cost\nyesterday,m,1\n",
    "date,model,cost\n2026-01-01,m,much\n",
  ])("is refused where it is none: %j", (text) => {
    expect(() => readBill(text)).toThrow(UsageError);
  });

  test("never ends in anything but lines or a word on what is wrong", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          readBill(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});

test("the bill and the log meet by day and by the longest name that a line begins with", () => {
  const day = "2026-05-28";
  const bill = [
    { day, model: "gpt-4o-mini-2024-07-18", nanos: 100n },
    { day, model: "gpt-4o-2024-08-06", nanos: 50n },
    { day, model: "whisper-1", nanos: 7n },
  ];
  const log = [
    { day, model: "gpt-4o", nanos: 50n },
    { day, model: "gpt-4o-mini", nanos: 90n },
    { day: "2026-05-29", model: "gpt-4o", nanos: 5n },
  ];
  expect(driftOf(bill, log)).toEqual([
    { day, model: "gpt-4o", billNanos: 50n, logNanos: 50n },
    { day, model: "gpt-4o-mini", billNanos: 100n, logNanos: 90n },
    { day, model: "whisper-1", billNanos: 7n, logNanos: 0n },
    { day: "2026-05-29", model: "gpt-4o", billNanos: 0n, logNanos: 5n },
  ]);
  expect([driftBasisPoints(100n, 90n), driftBasisPoints(0n, 5n), driftBasisPoints(0n, 0n)]).toEqual([
    -1_000n,
    10_000n,
    0n,
  ]);
});
