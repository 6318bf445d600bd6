/** What clients get, and what is recorded and charged, when providers fail and when clients leave. */
import { setTimeout as sleep } from "node:timers/promises";
import { audit, common, policy } from "@weir/contracts";
import { type Behaviour, COMPOSITIONS, type LedgerEntry } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, type Face, FACES } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

/**
 * A model for each way to fail, so that one breaker does not steer another's test. `own-*` speak the client's dialect, `other-*` do not;
 * `pair-*` have a second target.
 */
const PROVIDERS = { chat: "openai", responses: "openai", messages: "claude" } as const;
const KINDS = [
  "e500",
  "e429",
  "quota",
  "overload",
  "e400",
  "e401",
  "refuse",
  "slow",
  "malformed",
  "cut",
  "error",
  "idle",
  "gone",
];
const price =
  "price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 }, context_window: 100000, max_output_tokens: 4000";
const modelsOf = (): string => {
  const lines: string[] = [];
  for (const face of ["chat", "responses", "messages"] as const) {
    for (const kind of KINDS) {
      const own = PROVIDERS[face];
      lines.push(`  own-${face}-${kind}: { targets: [{ provider: ${own}, model: own-${face}-${kind} }], ${price} }`);
      lines.push(
        `  other-${face}-${kind}: { targets: [{ provider: gemini, model: other-${face}-${kind} }], ${price} }`,
      );
      lines.push(
        `  pair-${face}-${kind}: { targets: [{ provider: ${own}, model: bad-${face}-${kind} }, { provider: claude, model: good }], ${price} }`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
};
const BUDGET = `workspaces:
  default:
    budgets: [{ period: total, limit_usd: 1000, hard: true }, { period: total, limit_requests: 100000, hard: true }]
`;
/** Faster than anybody would set it. */
const TIMEOUTS = Object.fromEntries(
  ["OPENAI", "CLAUDE", "GEMINI"].flatMap((name) => [
    [`WEIR_PROVIDERS_${name}_TIMEOUTS_FIRST_BYTE`, "350ms"],
    [`WEIR_PROVIDERS_${name}_TIMEOUTS_IDLE`, "350ms"],
  ]),
);

interface Failing {
  readonly kind: string;
  readonly behaviour: Behaviour;
  readonly status: number;
  readonly code: string;
  /** Whether another target is tried. */
  readonly next: boolean;
}
const FAILING: readonly Failing[] = [
  { kind: "e500", behaviour: { status: 500 }, status: 502, code: "provider_error", next: true },
  {
    kind: "e429",
    behaviour: { status: 429, code: "rate_limit_exceeded", retryAfterS: 7 },
    status: 429,
    code: "provider_rate_limited",
    next: true,
  },
  {
    kind: "overload",
    behaviour: { status: 503 },
    status: 503,
    code: "provider_overloaded",
    next: true,
  },
  {
    kind: "e401",
    behaviour: { status: 401, text: "bad key sk-simulated-provider-key" },
    status: 502,
    code: "provider_auth",
    next: false,
  },
  { kind: "refuse", behaviour: { refuse: true }, status: 502, code: "provider_error", next: true },
  { kind: "slow", behaviour: { delayMs: 5_000 }, status: 504, code: "provider_timeout", next: true },
  {
    kind: "malformed",
    behaviour: { malformed: true },
    status: 502,
    code: "provider_bad_response",
    next: true,
  },
];

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    whole = await bootWhole(composition, { config: modelsOf() + BUDGET, env: TIMEOUTS });
    operator = operatorOf(whole.weir);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());

  const held = async (): Promise<bigint[]> =>
    (await operator.policy.listBudgets({})).budgets.map((budget) => budget.held);
  const nothingHeld = (): Promise<void> => expect.poll(held, { timeout: 10_000 }).toEqual([0n, 0n]);

  async function outcomeOf(id: string): Promise<audit.Outcome> {
    let found: audit.Outcome | undefined;
    const look = async (): Promise<number> => {
      const { entries } = await operator.audit.get({ requestId: id });
      const outcomes = entries.flatMap(({ record }) => (record.case === "outcome" ? [record.value] : []));
      found = outcomes[0];
      return outcomes.length;
    };
    await expect.poll(look, { timeout: 20_000 }).toBe(1);
    if (found === undefined) throw new Error("no outcome");
    return found;
  }
  const idOf = (answer: Response): string => answer.headers.get("x-weir-request-id") ?? "";
  const charged = (face: Face, sent: object): object => (face.name === "chat" ? { ...sent, max_tokens: 1000 } : sent);

  describe.each(FACES)("$name", (face) => {
    const expectError = (text: string): void => {
      expect(JSON.parse(text)).toMatchObject({ error: { message: expect.any(String), type: expect.any(String) } });
      if (face.name === "messages") expect(JSON.parse(text)).toMatchObject({ type: "error" });
    };

    describe.each(FAILING)("$kind", ({ kind, behaviour, status, code, next }) => {
      test.each(["own", "other"])(
        "%s dialect: the answer says what happened, in the client's dialect",
        async (side) => {
          // What is no JSON in a stream comes after content: the test of cut streams has it.
          const stream = side === "other" && kind !== "malformed";
          whole.simulator.script({ behaviour });
          const sent = charged(face, face.body(`${side}-${face.name}-${kind}`, "hi", stream));
          const answer = await ask(whole.weir, face.path, sent);
          const text = await answer.text();
          // Who speaks the provider's dialect gets its own words, but for what tells of Weir's account.
          const expected = side === "own" && kind !== "e401" ? (behaviour.status ?? status) : status;
          expect(answer.status, text).toBe(expected);
          expect(answer.headers.get("content-type")).toContain("application/json");
          expectError(text);
          expect(text).not.toContain("sk-simulated");
          if (kind === "e429") expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
          const outcome = await outcomeOf(idOf(answer));
          expect(outcome).toMatchObject({ kind: audit.OutcomeKind.FAILED, status: expected });
          expect(common.ErrorReason[outcome.error]?.toLowerCase()).toBe(code);
          expect(outcome.result?.attempts.length).toBe(Number(answer.headers.get("x-weir-attempts")));
        },
      );

      test.runIf(next)("a second target answers instead, and the client does not notice", async () => {
        whole.simulator.script({ model: `bad-${face.name}-${kind}`, behaviour });
        const stream = kind !== "malformed";
        const answer = await ask(
          whole.weir,
          face.path,
          charged(face, face.body(`pair-${face.name}-${kind}`, "hello", stream)),
        );
        const text = await answer.text();
        expect(answer.status, text).toBe(200);
        expect(text).toContain("hello");
        if (stream) expect(text).toMatch(face.ending);
        expect(answer.headers.get("x-weir-attempts")).toBe("2");
        expect(answer.headers.get("x-weir-provider")).toBe("claude");
        const { result } = await outcomeOf(idOf(answer));
        expect(result?.attempts.map(({ model }) => model)).toEqual([`bad-${face.name}-${kind}`, "good"]);
        expect(result?.attempts.map(({ error: reason }) => common.ErrorReason[reason]?.toLowerCase())).toEqual([
          code,
          "unspecified",
        ]);
      });

      test.runIf(!next)("no second target is tried for what is the request's or the operator's fault", async () => {
        whole.simulator.script({ model: `bad-${face.name}-${kind}`, behaviour });
        const answer = await ask(whole.weir, face.path, charged(face, face.body(`pair-${face.name}-${kind}`, "hello")));
        await answer.text();
        expect(answer.status).toBe(status);
        expect(whole.simulator.ledger).toHaveLength(1);
      });
    });

    test.each(["own", "other"])(
      "%s dialect: a stream that is cut ends in an error, never as if it were whole",
      async (side) => {
        for (const [kind, behaviour, reason] of [
          ["cut", { words: 50, cutAfterEvents: 12 }, common.ErrorReason.STREAM_INTERRUPTED],
          ["malformed", { words: 50, malformed: true }, undefined],
          ["error", { words: 50, errorAfterEvents: 12 }, undefined],
        ] as const) {
          whole.simulator.script({ behaviour });
          const answer = await ask(
            whole.weir,
            face.path,
            charged(face, face.body(`${side}-${face.name}-${kind}`, "hi", true)),
          );
          const text = await answer.text();
          if (side === "other" && kind === "error" && answer.status !== 200) continue;
          // Before its first content a stream that cannot be read is an answer that failed.
          if (kind === "malformed" && answer.status !== 200) {
            expect([answer.status, text]).toEqual([502, expect.stringContaining("provider_bad_response")]);
            expect((await outcomeOf(idOf(answer))).kind).toBe(audit.OutcomeKind.FAILED);
            continue;
          }
          expect(answer.status, text).toBe(200);
          if (kind !== "malformed") expect(text, kind).toContain("word0");
          expect(text, `${kind} ${text.slice(-600)}`).not.toMatch(face.ending);
          expect(text.slice(-2_000), kind).toMatch(face.brokenOff);
          const outcome = await outcomeOf(idOf(answer));
          expect(outcome.kind).toBe(audit.OutcomeKind.FAILED);
          if (reason !== undefined) expect(outcome.error).toBe(reason);
          // What was sent is paid for, whatever the provider told of it before.
          const sent = whole.simulator.ledger.at(-1)?.outputTokens ?? 0;
          if (kind !== "malformed") expect(outcome.result?.usage?.outputTokens).toBeGreaterThanOrEqual(sent);
        }
        await nothingHeld();
      },
    );

    test("a whole answer that breaks off is tried again, and is no answer", async () => {
      whole.simulator.script({ behaviour: { cutAfterEvents: 1 } });
      const answer = await ask(whole.weir, face.path, charged(face, face.body(`own-${face.name}-gone`, "hi")));
      const text = await answer.text();
      expect(answer.status, text).toBe(502);
      expectError(text);
      // Sent and not answered: it may have been billed, and counts at its bound.
      const { result } = await outcomeOf(idOf(answer));
      expect(result?.attempts.length).toBeGreaterThanOrEqual(1);
      await nothingHeld();
    });

    test.each(["json", "json of another dialect", "stream", "stream of another dialect"])(
      "a client that leaves (%s): the provider is let go at once",
      async (what) => {
        const stream = what.startsWith("stream");
        whole.simulator.script({ behaviour: stream ? { words: 2_000, trickleMs: 20 } : { delayMs: 300 } });
        const model = what.endsWith("dialect") ? `other-${face.name}-idle` : `own-${face.name}-idle`;
        const leave = new AbortController();
        const own = `left-${composition}-${face.name}-${what.length}`;
        const asking = ask(whole.weir, face.path, charged(face, face.body(model, "one two three", stream)), {
          signal: leave.signal,
          headers: { "x-weir-tags": `own=${own}` },
        });
        let answered: Response | undefined;
        if (!stream) {
          asking.catch(() => undefined);
          await expect.poll(() => whole.simulator.ledger.length).toBe(1);
        } else {
          answered = await asking;
          await answered.body?.getReader().read();
        }
        const leftMs = Date.now();
        leave.abort();
        const [entry] = whole.simulator.ledger as [LedgerEntry];
        await expect.poll(() => entry.cancelledAtMs, { timeout: 5_000, interval: 5 }).toBeGreaterThan(0);
        const tookMs = entry.cancelledAtMs - leftMs;
        process.stderr.write(
          `upstream cancelled ${tookMs} ms after the client left (${composition}, ${face.name}, ${what})\n`,
        );
        expect(tookMs).toBeLessThan(2_500);
        expect(entry.finished).toBe(false);

        const mine = async (): Promise<audit.Outcome[]> => {
          const { entries } = await operator.audit.list({ kind: audit.RecordKind.OUTCOME, pageSize: 100, model });
          return entries.flatMap(({ record }) =>
            record.case === "outcome" && record.value.intent?.tags["own"] === own ? [record.value] : [],
          );
        };
        await expect.poll(async () => (await mine()).length, { timeout: 20_000 }).toBe(1);
        const [outcome] = await mine();
        expect(outcome).toMatchObject({ kind: audit.OutcomeKind.CANCELLED, error: common.ErrorReason.CLIENT_CLOSED });
        if (stream) {
          expect(outcome?.result?.usage).toMatchObject({ estimated: true });
          expect(outcome?.result?.usage?.outputTokens).toBeGreaterThanOrEqual(entry.outputTokens - 5);
          // Nobody knows this model's tokens: each byte is one at most, and no word of the simulator's has more than ten.
          expect(outcome?.result?.usage?.outputTokens).toBeLessThanOrEqual(10 * (entry.outputTokens + 16));
          expect(outcome?.result?.costNanos).toBeGreaterThan(0n);
          expect(answered?.headers.get("x-weir-request-id")).toBe(outcome?.intent?.requestId);
        }
        await nothingHeld();
      },
    );
  });

  test("a client that reads nothing is not waited for, and holds no memory", async () => {
    // The answer is larger than what sockets take; the one who asked does not read. Others go on.
    whole.simulator.script({ behaviour: { words: 20_000 } });
    const chat = FACES[0] as Face;
    const stalled = await ask(whole.weir, chat.path, charged(chat, chat.body("own-chat-gone", "hi", true)));
    const others = await Promise.all(
      Array.from({ length: 5 }, async () => (await ask(whole.weir, chat.path, chat.body("m-echo", "hi"))).status),
    );
    expect(others).toEqual([200, 200, 200, 200, 200]);
    await stalled.body?.cancel();
    await sleep(50);
    await nothingHeld();
  });

  test("nothing is held, and what was spent is what the log says", async () => {
    await nothingHeld();
    let cost = 0n;
    let atBound = 0n;
    let pageToken = "";
    do {
      const page = await operator.audit.list({ kind: audit.RecordKind.OUTCOME, pageSize: 1000, pageToken });
      for (const { record } of page.entries) {
        if (record.case !== "outcome") continue;
        const { result, intent } = record.value;
        for (const attempt of result?.attempts ?? []) {
          if (attempt.billing === 3) atBound += intent?.boundNanos ?? 0n;
          else cost += attempt.costNanos;
        }
        if (result?.attempts.length === 0) atBound += intent?.boundNanos ?? 0n;
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const { budgets } = await operator.policy.listBudgets({});
    const money = budgets.find(({ unit }) => unit === policy.BudgetUnit.NANO_USD);
    expect(money?.closed).toBe(false);
    expect(money?.spent).toBeGreaterThanOrEqual(cost);
    expect(money?.spent).toBeLessThanOrEqual(cost + atBound);
  });
});
