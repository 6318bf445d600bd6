/** Which model a request is sent to by what it is, and which part of them a new one gets. */
import { compileRule } from "@weir/config";
import { type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { boot, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(() => simulator.reset());

const one = () => provider("one", "openai", { baseUrl: `${simulator.origin}/v1` });
const served = (): string[] => simulator.ledger.map((entry) => entry.model);

describe("rules over what a request is", () => {
  const rules = [
    { when: "request.input_tokens > 20000", use: "long" },
    { when: 'request.tools || request.text.contains("SQL")', use: "code" },
    { when: '"tier" in request.tags && request.tags["tier"] == "free"', use: "small" },
  ];
  const config = () =>
    configOf(
      [one()],
      [
        model("fast", ["one/gpt-4o"], { rules }),
        model("long", ["one/gpt-4.1"], { rules: [{ when: "true", use: "small" }] }),
        model("code", ["one/o3-mini"]),
        model("small", ["one/gpt-4o-mini"]),
      ],
    );
  const ask = (dialect: "openai-chat" | "openai-responses" | "anthropic-messages", body: object, more: object = {}) =>
    rawCall(dialect, { model: "fast", ...body }, more);
  const said = (content: string) => ({ messages: [{ role: "user", content }] });

  it("take the first that matches, in every dialect, and the model itself where none does", async () => {
    await using weir = await boot({ config: config() });
    const tool = { type: "function", function: { name: "f", parameters: { type: "object" } } };
    const calls = [
      ask("openai-chat", said("hello")),
      ask("openai-chat", said("hello"), { inputBound: 30_000 }),
      ask("openai-chat", { ...said("hello"), tools: [tool] }, { inputBound: 30_000 }),
      ask("openai-chat", { ...said("hello"), tools: [tool] }),
      ask("openai-responses", { input: "write SQL" }),
      ask("anthropic-messages", { ...said("write SQL"), max_tokens: 10 }),
      ask("openai-chat", said("hello"), { tags: { tier: "free" } }),
      ask("openai-chat", said("hello"), { tags: { tier: "paid" } }),
    ];
    for (const call of calls) expect((await weir.client.complete(call)).result?.error).toBeUndefined();
    expect(served()).toEqual([
      "gpt-4o",
      "gpt-4.1",
      "gpt-4.1",
      "o3-mini",
      "o3-mini",
      "o3-mini",
      "gpt-4o-mini",
      "gpt-4o",
    ]);
  });

  it("are part of what a model may cost: all that they lead to is listed as its candidates", async () => {
    await using weir = await boot({ config: config() });
    const { models } = await weir.client.listModels({});
    const candidates = models.find(({ id }) => id === "fast")?.candidates ?? [];
    expect(candidates.map((of) => of.model)).toEqual(["gpt-4o", "gpt-4.1", "o3-mini", "gpt-4o-mini"]);
  });

  it("leave a request that cannot be read to whoever refuses it", async () => {
    await using weir = await boot({ config: config() });
    const { result } = await weir.client.complete(ask("openai-chat", { messages: "no list" }));
    expect(served().length + Number(result?.error !== undefined)).toBe(1);
  });

  it("that are wrong are refused with the configuration", () => {
    expect(() => compileRule("request.tokens > 1")).toThrow(RangeError);
  });
});

describe("a canary", () => {
  const canary = { provider: "one", model: "gpt-4.1", percent: 10 };
  const config = () => configOf([one()], [model("m", ["one/gpt-4o"], { canary })]);
  const ask = (more: object = {}) =>
    rawCall("openai-chat", { model: "m", messages: [{ role: "user", content: "x" }] }, more);

  it("gets its part of the requests", async () => {
    let drawn = 0;
    // Each call draws four times; the last one is the canary's.
    const random = (): number => (drawn++ % 4 === 3 ? ((drawn / 4) * 0.618_034) % 1 : 0);
    await using weir = await boot({ config: config(), random });
    for (let call = 0; call < 200; call++) await weir.client.complete(ask());
    const count = served().filter((name) => name === "gpt-4.1").length;
    expect(count).toBeGreaterThanOrEqual(16);
    expect(count).toBeLessThanOrEqual(24);
  });

  it("keeps the conversations that began with it, and no others", async () => {
    await using weir = await boot({ config: config() });
    const conversations = Array.from({ length: 60 }, (_, at) => `conversation ${at}`);
    for (const conversation of [...conversations, ...conversations]) await weir.client.complete(ask({ conversation }));
    const all = served();
    expect(all.slice(60)).toEqual(all.slice(0, 60));
    expect(all.filter((name) => name === "gpt-4.1").length).toBeGreaterThan(0);
    expect(all.filter((name) => name === "gpt-4.1").length).toBeLessThan(40);
  });

  it("that fails is stood in for", async () => {
    simulator.script({ model: "gpt-4.1", behaviour: { status: 500 } });
    await using weir = await boot({ config: config(), random: () => 0 });
    const { result } = await weir.client.complete(ask());
    expect(result?.error).toBeUndefined();
    expect(served()).toEqual(["gpt-4.1", "gpt-4o"]);
  });
});
