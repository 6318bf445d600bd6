/** The strategy `capability`, with what the catalogue knows of real models. */
import { type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { boot, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(() => simulator.reset());

const tool = { type: "function", function: { name: "f", parameters: { type: "object" } } };
const PNG = "iVBORw0KGgo=";
const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
const said = (content: unknown) => ({ messages: [{ role: "user", content }] });

it("sends a request to the first that can do what it needs, in every dialect", async () => {
  // The first neither calls tools nor sees, the second does not see.
  const targets = ["one/gpt-3.5-turbo", "one/o3-mini", "one/gpt-4o"];
  const providers = [provider("one", "openai", { baseUrl: `${simulator.origin}/v1` })];
  const models = [model("m", targets, { strategies: ["capability", "priority"] })];
  await using weir = await boot({ config: configOf(providers, models) });
  const calls = [
    [rawCall("openai-chat", { model: "m", ...said("hello") }), "gpt-3.5-turbo"],
    [rawCall("openai-chat", { model: "m", ...said("hello"), tools: [tool] }), "o3-mini"],
    [rawCall("openai-chat", { model: "m", ...said([image]) }), "gpt-4o"],
    [
      rawCall("openai-responses", { model: "m", input: "hello", tools: [{ ...tool.function, type: "function" }] }),
      "o3-mini",
    ],
    [
      rawCall("anthropic-messages", {
        model: "m",
        max_tokens: 10,
        ...said([{ type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }]),
      }),
      "gpt-4o",
    ],
    [rawCall("openai-chat", { model: "m", ...said("hello") }, { inputBound: 150_000 }), "o3-mini"],
  ] as const;
  for (const [call, expected] of calls) {
    const { result } = await weir.client.complete(call);
    expect(result?.error).toBeUndefined();
    expect(result?.served?.model).toBe(expected);
  }
});
