/** Budgets as clients and operators see them: agent runs, calls that repeat, and books that agree with the audit log. */
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "@weir/cli";
import { policy } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask } from "../support/ask.ts";
import { type Operator, operatorOf } from "../support/operator.ts";
import { bootWhole, type Whole } from "../support/whole.ts";

const CHAT = "/v1/chat/completions";
const CONFIG = `  m:
    targets: [{ provider: compatible, model: one }]
    price: { input_usd_per_mtok: 3, output_usd_per_mtok: 9 }
    context_window: 100000
    max_output_tokens: 1000
`;
const { BudgetPeriod, BudgetSubject, BudgetUnit } = policy;

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let operator: Operator;
  beforeAll(async () => {
    whole = await bootWhole(composition, { config: CONFIG });
    operator = operatorOf(whole.weir);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());
  beforeEach(() => whole.simulator.reset());

  interface Terms {
    readonly unit: policy.BudgetUnit;
    readonly limit: bigint;
    readonly per: policy.BudgetSubject;
    readonly maxIdenticalCalls?: number;
  }

  /** A key with a budget that policy and ingress know of. */
  async function keyWith(terms: Terms): Promise<string> {
    const { key, secret } = await operator.policy.createKey({ name: "budgets" });
    const place = { place: { case: "key" as const, value: key?.id ?? "" } };
    await operator.policy.putBudget({ place, period: BudgetPeriod.TOTAL, hard: true, ...terms });
    await expect.poll(() => ask(whole.weir, CHAT, "", { key: secret }).then(({ status }) => status)).toBe(400);
    await sleep(700);
    return secret;
  }

  async function step(key: string, runId: string, text = "hi", more: object = {}): Promise<string> {
    const answer = await ask(
      whole.weir,
      CHAT,
      { model: "m", max_tokens: 20, messages: [{ role: "user", content: text }], ...more },
      { key, headers: runId === "" ? {} : { "x-weir-run-id": runId } },
    );
    const body = await answer.text();
    return answer.ok ? "200" : `${answer.status} ${(JSON.parse(body) as { error: { code: string } }).error.code}`;
  }

  test("an agent run has so many steps, and no more; the next run has its own", async () => {
    const key = await keyWith({ unit: BudgetUnit.REQUESTS, limit: 2n, per: BudgetSubject.RUN });
    const answers = await Promise.all(["1", "2", "3", "4"].map((text) => step(key, "run-a", text)));
    expect(answers.toSorted()).toEqual(["200", "200", "429 budget_exceeded", "429 budget_exceeded"]);
    expect(await step(key, "run-b")).toBe("200");
    expect(await step(key, "")).toBe("200");
    expect(await step(key, "a run with spaces")).toBe("400 invalid_request");
    expect(whole.simulator.ledger).toHaveLength(4);
  });

  test("a run that turns in circles is stopped; other words, or another run, go on", async () => {
    const key = await keyWith({
      unit: BudgetUnit.REQUESTS,
      limit: 1_000n,
      per: BudgetSubject.RUN,
      maxIdenticalCalls: 2,
    });
    const turn = (id: string) => [
      { role: "assistant", tool_calls: [{ id, type: "function", function: { name: "look", arguments: "{}" } }] },
      { role: "tool", tool_call_id: id, content: "nothing" },
    ];
    const asked = { role: "user", content: "find it" };
    const circle = (turns: number) => ({
      messages: [asked, ...Array.from({ length: turns }, (_, at) => turn(`call_${at}`)).flat()],
    });
    expect(await step(key, "circle", "", circle(1))).toBe("200");
    expect(await step(key, "circle", "", circle(2))).toBe("200");
    expect(await step(key, "circle", "", circle(3))).toBe("429 repeated_call");
    expect(await step(key, "circle", "something else")).toBe("200");
    expect(await step(key, "another", "", circle(3))).toBe("200");
    expect(await step(key, "", "", circle(3))).toBe("200");
  });

  test("weir budgets verify finds ledger and audit log in agreement, whatever became of the requests", async () => {
    const key = await keyWith({ unit: BudgetUnit.NANO_USD, limit: 10n ** 12n, per: BudgetSubject.NONE });
    whole.simulator.script(
      { times: 3, behaviour: { status: 500 } },
      { times: 3, behaviour: { cutAfterEvents: 2, status: 200 } },
      { behaviour: { trickleMs: 1 } },
    );
    const requests = Array.from({ length: 30 }, async (_, at) => {
      const signal = at % 10 === 9 ? { signal: AbortSignal.timeout(20) } : {};
      const body = { model: "m", max_tokens: 20, stream: at % 2 === 0, messages: [{ role: "user", content: `${at}` }] };
      await ask(whole.weir, CHAT, body, { key, ...signal }).then(
        (answer) => answer.text(),
        () => undefined, // it left, or was cut off
      );
    });
    await Promise.allSettled(requests);
    const weir = async (...words: string[]): Promise<[number, string]> => {
      let said = "";
      const terminal = {
        env: { WEIR_RPC: whole.weir.rpcUrl, WEIR_ADMIN_TOKEN: whole.weir.adminToken },
        out: (text: string) => (said += text),
        err: (text: string) => (said += text),
      };
      return [await run(words, terminal), said];
    };
    // The log takes in what the spool holds within seconds.
    await expect
      .poll(() => weir("budgets", "verify", "--audit", "--since", "1h", "--older-than", "1s"), {
        timeout: 30_000,
        interval: 1_000,
      })
      .toEqual([0, expect.stringMatching(/budget periods agree with[^]*\(none\)\n[1-9]\d+ requests compared/)]);
    const [code, listed] = await weir("budgets", "list", "--workspace", "default");
    expect([code, listed]).toEqual([0, expect.stringMatching(/UNTIL/)]);
  });
});
