/** The official openai SDK, unchanged but for base URL and key, against every provider kind. */
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { COMPOSITIONS } from "@weir/testkit";
import { bootWhole, MODELS, type Whole } from "../support/whole.ts";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const WEATHER: OpenAI.Chat.Completions.ChatCompletionTool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather at a place",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  let client: OpenAI;
  beforeAll(async () => {
    whole = await bootWhole(composition);
    client = new OpenAI({ baseURL: `${whole.weir.httpUrl}/v1`, apiKey: whole.weir.key, maxRetries: 0 });
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());

  describe.each(MODELS)("%s", (model) => {
    test("a chat", async () => {
      const answer = await client.chat.completions.create({
        model,
        messages: [{ role: "user", content: "Hello there, weir" }],
        max_tokens: 100,
      });
      expect(answer.object).toBe("chat.completion");
      expect(answer.choices[0]?.message.content).toContain("Hello there, weir");
      expect(answer.choices[0]?.finish_reason).toBe("stop");
      expect(answer.usage?.total_tokens).toBeGreaterThan(0);
    });

    test("a stream, whole and in order, with usage where it was asked for", async () => {
      const stream = await client.chat.completions.create({
        model,
        messages: [{ role: "user", content: "one two three four five" }],
        max_tokens: 100,
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = "";
      let finish: string | null = null;
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? "";
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
      }
      expect(text).toContain("one two three four five");
      expect(finish).toBe("stop");
      expect(usage?.completion_tokens).toBeGreaterThan(0);
    });

    test("no usage chunk where none was asked for", async () => {
      const stream = await client.chat.completions.create({
        model,
        messages: [{ role: "user", content: "hi" }],
        max_tokens: 100,
        stream: true,
      });
      for await (const chunk of stream) expect(chunk.choices.length).toBeGreaterThan(0);
    });

    test.each([false, true])("tools over two turns (stream: %s)", async (stream) => {
      const messages: OpenAI.Chat.Completions.ChatCompletionMessageParam[] = [
        { role: "user", content: "What is the weather in Paris?" },
      ];
      const ask = { model, tools: [WEATHER], tool_choice: "required" as const, max_tokens: 200 };
      const first = stream
        ? await client.chat.completions.stream({ ...ask, messages }).finalChatCompletion()
        : await client.chat.completions.create({ ...ask, messages });
      const choice = first.choices[0];
      expect(choice?.finish_reason).toBe("tool_calls");
      const call = choice?.message.tool_calls?.[0];
      if (call?.type !== "function") throw new Error("no function was called");
      expect(call.function.name).toBe("get_weather");
      expect(JSON.parse(call.function.arguments)).toHaveProperty("city");
      messages.push(choice?.message as OpenAI.Chat.Completions.ChatCompletionMessage);
      messages.push({ role: "tool", tool_call_id: call.id, content: "Sunny, 21 degrees" });
      const second = await client.chat.completions.create({ model, tools: [WEATHER], messages, max_tokens: 200 });
      expect(second.choices[0]?.finish_reason).toBe("stop");
      expect(second.choices[0]?.message.content).toContain("Sunny, 21 degrees");
    });

    test("structured output parses to its schema", async () => {
      const schema = z.object({ name: z.string(), count: z.number().int() });
      const answer = await client.chat.completions.parse({
        model,
        messages: [{ role: "user", content: "Name and count, please" }],
        response_format: zodResponseFormat(schema, "thing"),
        max_tokens: 200,
      });
      expect(schema.safeParse(answer.choices[0]?.message.parsed).success).toBe(true);
    });

    test("an image part", async () => {
      const answer = await client.chat.completions.create({
        model,
        max_tokens: 100,
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "What is on it?" },
              { type: "image_url", image_url: { url: PIXEL } },
            ],
          },
        ],
      });
      expect(answer.choices[0]?.message.content).toContain("What is on it?");
    });

    test("the Responses API, plain and streamed", async () => {
      const answer = await client.responses.create({ model, input: "Say it again", max_output_tokens: 100 });
      expect(answer.status).toBe("completed");
      expect(answer.output_text).toContain("Say it again");
      expect(answer.usage?.total_tokens).toBeGreaterThan(0);
      const stream = client.responses.stream({ model, input: "Say it again", max_output_tokens: 100 });
      let text = "";
      for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
      const final = await stream.finalResponse();
      expect(text).toBe(final.output_text);
      expect(text).toContain("Say it again");
    });
  });

  test("embeddings, as floats and in base64", async () => {
    for (const model of ["m-echo", "m-openai", "m-compatible", "m-gemini"]) {
      const one = await client.embeddings.create({ model, input: "a river" });
      expect(one.data[0]?.embedding.length).toBeGreaterThan(3);
      const two = await client.embeddings.create({ model, input: ["a river", "a mill"], encoding_format: "float" });
      expect(two.data).toHaveLength(2);
      const [float, decoded] = [two.data[0]?.embedding ?? [], one.data[0]?.embedding ?? []];
      decoded.forEach((value, at) => expect(value).toBeCloseTo(float[at] ?? Number.NaN, 5));
    }
  });

  test("a provider without embeddings is a clear error", async () => {
    await expect(client.embeddings.create({ model: "m-anthropic", input: "a river" })).rejects.toMatchObject({
      status: 400,
      code: "unsupported",
    });
  });

  test("models: listed and one by one", async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(expect.arrayContaining([...MODELS]));
    expect((await client.models.retrieve("m-echo")).id).toBe("m-echo");
    await expect(client.models.retrieve("nothing")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  test("errors are the SDK's own types", async () => {
    const ask = { messages: [{ role: "user" as const, content: "hi" }] };
    const stranger = new OpenAI({ baseURL: `${whole.weir.httpUrl}/v1`, apiKey: "nobody", maxRetries: 0 });
    await expect(stranger.chat.completions.create({ model: "m-echo", ...ask })).rejects.toBeInstanceOf(
      OpenAI.AuthenticationError,
    );
    await expect(client.chat.completions.create({ model: "no-such-model", ...ask })).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
    });
    await expect(client.chat.completions.create({ model: "m-echo", messages: "x" as never })).rejects.toBeInstanceOf(
      OpenAI.BadRequestError,
    );
    await expect(client.chat.completions.create({ model: "m-echo", ...ask, max_tokens: -1 })).rejects.toMatchObject({
      status: 400,
      param: "max_tokens",
    });
  });

  test("what was done is told in headers", async () => {
    const { response } = await client.chat.completions
      .create(
        { model: "m-openai", messages: [{ role: "user", content: "hi" }] },
        { headers: { "x-request-id": "mine-1" } },
      )
      .withResponse();
    expect(response.headers.get("x-request-id")).toBe("mine-1");
    expect(response.headers.get("x-weir-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(response.headers.get("x-weir-provider")).toBe("openai");
    expect(response.headers.get("x-weir-attempts")).toBe("1");
    expect(Number(response.headers.get("x-weir-cost-usd"))).toBeGreaterThan(0);
    expect(Number(response.headers.get("x-weir-overhead-ms"))).toBeGreaterThan(0);
  });
});
