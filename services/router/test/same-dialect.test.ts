import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { common, router } from "@weir/contracts";
import { type Simulator, startSimulator } from "@weir/testkit";
import { boot, type Booted, collect, configOf, jsonOf, model, rawCall, simulated, textOf } from "./harness.ts";

let simulator: Simulator;
let weir: Booted;

beforeAll(async () => {
  simulator = await startSimulator();
  const models = [
    model("fast", ["openai/gpt-4o-mini"]),
    model("claude", ["anthropic/claude-haiku-4-5"]),
    model("home", ["local/llama-3.3"]),
  ];
  weir = await boot({ config: configOf(simulated(simulator.origin), models) });
});
afterAll(async () => {
  await weir[Symbol.asyncDispose]();
  await simulator[Symbol.asyncDispose]();
});
afterEach(() => simulator.reset());

const seen = () => {
  const [entry] = simulator.ledger;
  if (entry === undefined) throw new Error("nothing was asked of the provider");
  return entry;
};

describe("a client that speaks the provider's dialect", () => {
  it("has its bytes passed on as they are, unknown fields and odd spacing included", async () => {
    const body = `{ "model" : "gpt-4o-mini","messages":[{"role":"user","content":"h\\u00e9 🌊"}], "x_new_field": {"deep":[1,2.50,1e3]} }`;
    const { output, result } = await weir.client.complete(rawCall("openai-chat", body, { model: "gpt-4o-mini" }));
    expect(seen().body).toBe(body);
    expect(jsonOf(output)).toMatchObject({ id: "chatcmpl-simulated", system_fingerprint: "fp_simulated" });
    expect(result).toMatchObject({
      served: { provider: "openai", model: "gpt-4o-mini", attempt: 1 },
      finishReason: common.FinishReason.STOP,
      usage: { inputTokens: 2, outputTokens: 4, estimated: false },
      dropped: [],
    });
    expect(result?.attempts).toMatchObject([{ billing: router.Billing.CHARGED, status: 200 }]);
    expect(result?.costNanos).toBe(2n * 150n + 4n * 600n);
    expect(result?.priceVersion).toMatch(/^genai-prices@/);
  });

  it("has only the model's name changed where an alias means another", async () => {
    const body = `{"messages":[{"role":"user","content":"the model is \\"fast\\""}],"model":"fast","seed":7}`;
    await weir.client.complete(rawCall("openai-chat", body, { model: "fast" }));
    expect(seen().body).toBe(body.replace('"model":"fast"', '"model":"gpt-4o-mini"'));
  });

  it("has its cap lowered or set by policy, and otherwise left alone", async () => {
    const ask = async (
      members: string,
      cap: number,
      name = "gpt-4o-mini",
      statedCaps: string[] = [],
    ): Promise<string> => {
      simulator.reset();
      const body = `{"model":"${name}","messages":[{"role":"user","content":"a b c d e f"}]${members}}`;
      await weir.client.complete(rawCall("openai-chat", body, { model: name, outputCap: cap, statedCaps }));
      return seen().body;
    };
    expect(await ask("", 0)).not.toContain("max");
    expect(await ask("", 50)).toContain('"max_completion_tokens":50');
    expect(await ask(',"max_tokens":10', 50)).toContain('"max_tokens":10}');
    expect(await ask(',"max_tokens":100', 50)).toContain('"max_tokens":50}');
    expect(await ask(',"max_completion_tokens":null', 50)).toContain('"max_completion_tokens":50}');
    expect(await ask(',"max\\u005ftokens":100', 50)).not.toContain("100");
    expect(await ask("", 50, "home")).toContain('"max_tokens":50');
    expect(await ask(',"max_completion_tokens":100', 50, "home")).toContain('"max_tokens":50');
    // What the caller knows to be stated counts only where the provider obeys it.
    expect(await ask(',"max_tokens":9', 50, "gpt-4o-mini", ["max_tokens"])).toContain('"max_tokens":9}');
    const unheeded = await ask(',"max_completion_tokens":9', 50, "home", ["max_completion_tokens"]);
    expect(unheeded).toContain('"max_tokens":50');
  });

  it("gets the provider's own words when it rejects the request", async () => {
    simulator.script({ behaviour: { status: 422, code: "odd", text: "unknown field frequency" } });
    const { output, result } = await weir.client.complete(rawCall("openai-chat", { model: "fast", messages: [] }));
    expect(output.value).toMatchObject({ status: 422 });
    expect(jsonOf(output)).toMatchObject({ error: { message: "unknown field frequency", code: "odd" } });
    expect(result).toMatchObject({ error: { reason: common.ErrorReason.PROVIDER_REJECTED, upstreamStatus: 422 } });
    expect(result?.attempts).toMatchObject([{ billing: router.Billing.NOTHING, status: 422 }]);
    expect(simulator.ledger).toHaveLength(1);
  });

  it("learns nothing of Weir's credential or account", async () => {
    for (const text of [
      "Incorrect API key provided: sk-test-0123456789abcdef",
      "No such organization: org-abcDEF123456",
    ]) {
      simulator.script({ behaviour: { status: 401, text } });
      const { output, result } = await weir.client.complete(rawCall("openai-chat", { model: "fast", messages: [] }));
      expect(output.value).toMatchObject({ status: 502 });
      expect(jsonOf(output)).toMatchObject({ error: { code: "provider_auth" } });
      expect(JSON.stringify([jsonOf(output), result?.error?.message])).not.toMatch(/sk-test|org-abc/);
    }
    simulator.script({ behaviour: { status: 400, text: "bad request of org-abcDEF123456" } });
    const { output } = await weir.client.complete(rawCall("openai-chat", { model: "fast", messages: [] }));
    expect(output.value).toMatchObject({ status: 400 });
    expect(JSON.stringify(jsonOf(output))).not.toContain("org-abc");
  });

  it("learns nothing of credentials in headers of the operator's own", async () => {
    const providers = simulated(simulator.origin).map((one) =>
      one.name === "openai"
        ? { ...one, headers: { "x-proxy-authorization": "Bearer proxy-secret-1234", "x-team": "platform-team" } }
        : one,
    );
    await using own = await boot({ config: configOf(providers, [model("fast", ["openai/gpt-4o-mini"])]) });
    const told = async (text: string): Promise<string> => {
      simulator.script({ behaviour: { status: 400, text } });
      const { output } = await own.client.complete(rawCall("openai-chat", { model: "fast", messages: [] }));
      return JSON.stringify(jsonOf(output));
    };
    expect(await told("the proxy does not know proxy-secret-1234")).not.toContain("proxy-secret");
    expect(await told("no such model for platform-team")).toContain("no such model for platform-team");
    expect(simulator.ledger[0]?.headers).toMatchObject({ "x-proxy-authorization": "Bearer proxy-secret-1234" });
  });

  it("is counted for where the provider tells no usage", async () => {
    simulator.script({ behaviour: { usage: false } });
    const messages = [{ role: "user", content: "one two three four" }];
    const { result } = await weir.client.complete(rawCall("openai-chat", { model: "fast", messages }));
    expect(result?.usage?.estimated).toBe(true);
    expect(result?.usage?.inputTokens).toBeGreaterThanOrEqual(4);
    expect(result?.usage?.outputTokens).toBeGreaterThanOrEqual(4);
    expect(result?.costNanos).toBeGreaterThan(0n);
  });

  it("has those of its headers passed on that its provider takes", async () => {
    const headers = [
      { name: "OpenAI-Beta", value: "x=1" },
      { name: "authorization", value: "Bearer weir-key" },
      { name: "cookie", value: "a=b" },
    ];
    await weir.client.complete(rawCall("openai-chat", { model: "fast", messages: [] }, { headers }));
    expect(seen().headers).toMatchObject({
      "openai-beta": "x=1",
      authorization: "Bearer sk-test-0123456789abcdef",
      "accept-encoding": "identity",
    });
    expect(seen().headers).not.toHaveProperty("cookie");
  });
});

describe("a stream in the provider's dialect", () => {
  const ask = (more: object = {}) => ({
    model: "fast",
    stream: true,
    messages: [{ role: "user", content: "one two three" }],
    ...more,
  });

  it("passes as bytes, its terminal event withheld for the end", async () => {
    const { start, text, frames, terminal, end } = await collect(
      weir.client.streamComplete(rawCall("openai-chat", ask({ stream_options: { include_usage: true } }))),
    );
    expect(start).toMatchObject({
      served: { provider: "openai", attempt: 1 },
      price: { inputNanosPerMtok: 150_000_000n },
    });
    expect(start?.inputTokensEstimate).toBeGreaterThan(5);
    expect(frames.every((frame) => frame.endsWith("\n\n") && !frame.includes("[DONE]"))).toBe(true);
    expect(terminal).toBe("data: [DONE]\n\n");
    expect(text).toContain('"completion_tokens":5');
    expect(end.result).toMatchObject({
      usage: { inputTokens: 3, outputTokens: 5, estimated: false },
      finishReason: common.FinishReason.STOP,
    });
    expect(end.result?.firstTokenUs).toBeGreaterThan(0);
  });

  it("tells its usage to Weir also where the client did not ask, and hides it from the client", async () => {
    const { text, end } = await collect(weir.client.streamComplete(rawCall("openai-chat", ask())));
    expect(seen().body).toContain('"stream_options":{"include_usage":true}');
    expect(text).not.toContain("prompt_tokens");
    expect(end.result?.usage).toMatchObject({ inputTokens: 3, outputTokens: 5, estimated: false });
  });

  it("is counted for where no usage comes", async () => {
    simulator.script({ behaviour: { usage: false } });
    const { end, outputBytes } = await collect(weir.client.streamComplete(rawCall("openai-chat", ask())));
    expect(end.result?.usage?.estimated).toBe(true);
    expect(end.result?.usage?.outputTokens).toBeGreaterThanOrEqual(4);
    expect(outputBytes).toBeGreaterThan(10);
  });

  it("answers a failure before the first event as a whole answer", async () => {
    simulator.script({ behaviour: { status: 400, text: "no" } });
    const { start, end, text } = await collect(weir.client.streamComplete(rawCall("openai-chat", ask())));
    expect(start).toBeUndefined();
    expect(text).toBe("");
    expect(end.failure).toMatchObject({ status: 400 });
    expect(end.failure === undefined ? "" : textOf(end.failure)).toContain('"no"');
  });
});
