/** The official Anthropic SDK, unchanged but for base URL and key, against every provider kind. */
import Anthropic from "@anthropic-ai/sdk";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bootWhole, MODELS, type Whole } from "../support/whole.ts";

const WEATHER: Anthropic.Tool = {
  name: "get_weather",
  description: "The weather at a place",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let client: Anthropic;
  beforeAll(async () => {
    whole = await bootWhole(composition);
    client = new Anthropic({ baseURL: whole.weir.httpUrl, apiKey: whole.weir.key, maxRetries: 0 });
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());

  const textOf = (message: Anthropic.Message): string =>
    message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

  describe.each(MODELS)("%s", (model) => {
    test("a message", async () => {
      const message = await client.messages.create({
        model,
        max_tokens: 100,
        system: "Be kind.",
        messages: [{ role: "user", content: "Hello, weir" }],
      });
      expect(message.type).toBe("message");
      expect(textOf(message)).toContain("Hello, weir");
      expect(message.stop_reason).toBe("end_turn");
      expect(message.usage.output_tokens).toBeGreaterThan(0);
    });

    test("a stream", async () => {
      const stream = client.messages.stream({
        model,
        max_tokens: 100,
        messages: [{ role: "user", content: "one two three" }],
      });
      let text = "";
      stream.on("text", (delta) => (text += delta));
      const message = await stream.finalMessage();
      expect(text).toBe(textOf(message));
      expect(text).toContain("one two three");
      expect(message.stop_reason).toBe("end_turn");
      expect(message.usage.output_tokens).toBeGreaterThan(0);
    });

    test.each([false, true])("tool use over two turns (stream: %s)", async (stream) => {
      const ask = { model, max_tokens: 200, tools: [WEATHER], tool_choice: { type: "any" as const } };
      const messages: Anthropic.MessageParam[] = [{ role: "user", content: "What is the weather in Paris?" }];
      const first = stream
        ? await client.messages.stream({ ...ask, messages }).finalMessage()
        : await client.messages.create({ ...ask, messages });
      expect(first.stop_reason).toBe("tool_use");
      const use = first.content.find((block) => block.type === "tool_use");
      expect(use?.name).toBe("get_weather");
      expect(use?.input).toHaveProperty("city");
      messages.push({ role: "assistant", content: first.content });
      messages.push({
        role: "user",
        content: [{ type: "tool_result", tool_use_id: use?.id ?? "", content: "Sunny, 21 degrees" }],
      });
      const second = await client.messages.create({ model, max_tokens: 200, tools: [WEATHER], messages });
      expect(second.stop_reason).toBe("end_turn");
      expect(textOf(second)).toContain("Sunny, 21 degrees");
    });
  });

  test("models are listed in Anthropic's shape", async () => {
    const page = await client.models.list();
    expect(page.data.map(({ id }) => id)).toEqual(expect.arrayContaining([...MODELS]));
  });

  test("errors are the SDK's own types", async () => {
    const ask = { max_tokens: 10, messages: [{ role: "user" as const, content: "hi" }] };
    const stranger = new Anthropic({ baseURL: whole.weir.httpUrl, apiKey: "nobody", maxRetries: 0 });
    await expect(stranger.messages.create({ model: "m-echo", ...ask })).rejects.toBeInstanceOf(
      Anthropic.AuthenticationError,
    );
    await expect(client.messages.create({ model: "no-such-model", ...ask })).rejects.toBeInstanceOf(
      Anthropic.NotFoundError,
    );
    await expect(client.messages.create({ model: "m-echo", ...ask, max_tokens: -1 })).rejects.toBeInstanceOf(
      Anthropic.BadRequestError,
    );
  });
});
