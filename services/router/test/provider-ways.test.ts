/** Each kind of provider fails in its own words, and another provider answers in its place. */
import { type Behaviour, type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boot, type Booted, collect, configOf, model, rawCall, simulated } from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());

const KINDS = ["openai", "anthropic", "gemini", "local", "azure", "vertex", "bedrock", "mistral", "cohere", "tgi"];
/** Two models of Vertex are two dialects. */
const FAILING = [...KINDS.map((name) => `${name}/failing`), "vertex/claude-failing"];
const RETRY_S = 40;

const WAYS: Readonly<Record<string, Behaviour>> = {
  reset: { refuse: true },
  "500": { status: 500 },
  "503": { status: 503 },
  "529": { status: 529, code: "overloaded_error" },
  "429 with Retry-After": { status: 429, code: "rate_limit_exceeded", retryAfterS: RETRY_S },
  "429 without Retry-After": { status: 429, code: "rate_limit_exceeded" },
  "a body that is no JSON": { status: 502, raw: "<html>bad gateway</html>", contentType: "text/html" },
  "half an answer": { cutAfterEvents: 0 },
};

const modelOf = (target: string): string => target.slice(target.indexOf("/") + 1);
const withFailing = async (target: string, behaviour: Behaviour): Promise<Booted> => {
  simulator.reset();
  simulator.script({ model: modelOf(target), behaviour });
  return await boot({ config: configOf(simulated(simulator.origin), [model("m", [target, "openai/good"])]) });
};
const ask = (stream: boolean) =>
  rawCall("openai-chat", { model: "m", messages: [{ role: "user", content: "hello" }], ...(stream ? { stream } : {}) });

describe.each(FAILING)("%s", (target) => {
  it.each(Object.keys(WAYS))("%s: the request is answered by another", async (way) => {
    await using weir = await withFailing(target, WAYS[way] as Behaviour);
    const whole = (await weir.client.complete(ask(false))).result;
    expect(whole?.error).toBeUndefined();
    expect(whole?.served?.model).toBe("good");
    await using again = await withFailing(target, WAYS[way] as Behaviour);
    const { end, terminal } = await collect(again.client.streamComplete(ask(true)));
    expect(end.result?.error).toBeUndefined();
    expect(end.result?.served?.model).toBe("good");
    expect(terminal).toContain("[DONE]");
    expect(simulator.ledger.map((entry) => entry.model)).toEqual([modelOf(target), "good"]);
  });

  it("is left alone for as long as it asks", async () => {
    await using weir = await withFailing(target, WAYS["429 with Retry-After"] as Behaviour);
    await weir.client.complete(ask(false));
    const [first] = (await weir.client.explainRoute({ model: "m" })).candidates;
    expect(first?.eligible).toBe(false);
    const [, seconds] = /for (\d+) s: provider_rate_limited/.exec(first?.reason ?? "") ?? [];
    expect(Number(seconds)).toBeGreaterThan(RETRY_S - 10);
    expect(Number(seconds)).toBeLessThanOrEqual(RETRY_S);
  });

  it("is asked once for what the client got wrong, and nobody after it", async () => {
    await using weir = await withFailing(target, { status: 400 });
    expect((await weir.client.complete(ask(false))).result?.attempts).toHaveLength(1);
    expect(simulator.ledger).toHaveLength(1);
  });
});
