/** The Vercel AI SDK and LangChain, unchanged but for base URL and key, against every provider kind. */
import { createOpenAI } from "@ai-sdk/openai";
import { HumanMessage } from "@langchain/core/messages";
import { tool as langchainTool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { COMPOSITIONS } from "@weir/testkit";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { bootWhole, MODELS, type Whole } from "../support/whole.ts";

describe.each(COMPOSITIONS)("%s", (composition) => {
  let whole: Whole;
  beforeAll(async () => {
    whole = await bootWhole(composition);
  });
  afterAll(() => whole?.[Symbol.asyncDispose]());

  describe.each(MODELS)("the Vercel AI SDK on %s", (model) => {
    const provider = () => createOpenAI({ baseURL: `${whole.weir.httpUrl}/v1`, apiKey: whole.weir.key });
    // The SDK's default for OpenAI is the Responses API; `chat` is the older one.
    describe.each(["responses", "chat"] as const)("%s", (api) => {
      test("generateText", async () => {
        const { text, usage, finishReason } = await generateText({
          model: provider()[api](model),
          prompt: "Hello, weir",
          maxRetries: 0,
        });
        expect(text).toContain("Hello, weir");
        expect(finishReason).toBe("stop");
        expect(usage.outputTokens).toBeGreaterThan(0);
      });

      test("streamText", async () => {
        const result = streamText({ model: provider()[api](model), prompt: "one two three", maxRetries: 0 });
        let text = "";
        for await (const delta of result.textStream) text += delta;
        expect(text).toContain("one two three");
        expect(await result.finishReason).toBe("stop");
      });

      test("tools, run by the SDK over two steps", async () => {
        const asked: unknown[] = [];
        const { text, steps } = await generateText({
          model: provider()[api](model),
          prompt: "What is the weather in Paris?",
          maxRetries: 0,
          stopWhen: stepCountIs(3),
          tools: {
            get_weather: tool({
              description: "The weather at a place",
              inputSchema: z.object({ city: z.string() }),
              execute: (input) => {
                asked.push(input);
                return Promise.resolve("Sunny, 21 degrees");
              },
            }),
          },
        });
        expect(asked).toEqual([{ city: expect.any(String) }]);
        expect(steps).toHaveLength(2);
        expect(text).toContain("Sunny, 21 degrees");
      });
    });
  });

  describe.each(MODELS)("LangChain on %s", (model) => {
    const chat = () =>
      new ChatOpenAI({
        model,
        apiKey: whole.weir.key,
        configuration: { baseURL: `${whole.weir.httpUrl}/v1` },
        maxRetries: 0,
      });

    test("invoke and stream", async () => {
      const answer = await chat().invoke([new HumanMessage("Hello, weir")]);
      expect(answer.text).toContain("Hello, weir");
      expect(answer.usage_metadata).toMatchObject({ output_tokens: expect.any(Number) });
      let text = "";
      for await (const chunk of await chat().stream("one two three")) text += chunk.text;
      expect(text).toContain("one two three");
    });

    test("a bound tool is called with parsed arguments", async () => {
      const weather = langchainTool(() => "Sunny", {
        name: "get_weather",
        description: "The weather at a place",
        schema: z.object({ city: z.string() }),
      });
      const answer = await chat()
        .bindTools([weather], { tool_choice: "required" })
        .invoke("What is the weather in Paris?");
      expect(answer.tool_calls?.[0]).toMatchObject({ name: "get_weather", args: { city: expect.any(String) } });
    });
  });

  test("LangChain's embeddings", async () => {
    const embeddings = new OpenAIEmbeddings({
      model: "m-openai",
      apiKey: whole.weir.key,
      configuration: { baseURL: `${whole.weir.httpUrl}/v1` },
    });
    expect((await embeddings.embedQuery("a river")).length).toBeGreaterThan(3);
  });
});
