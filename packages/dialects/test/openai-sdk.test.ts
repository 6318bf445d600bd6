import { createOpenAI } from "@ai-sdk/openai";
import { WeirError } from "@weir/kernel";
import { jsonSchema, streamText, tool, type ToolSet } from "ai";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { type ChatEvent, type Dialect, openAiChat, openAiResponses } from "../src/index.ts";

/** What clients make of what is rendered: OpenAI's own SDK and the AI SDK check every event. */
const events: ChatEvent[] = [
  { type: "start", id: "other-1", model: "m", createdS: 5 },
  {
    type: "part-start",
    choice: 0,
    index: 0,
    part: { type: "thinking", text: "", extra: { dialect: "anthropic-messages", fields: {} } },
  },
  { type: "part-delta", choice: 0, index: 0, text: "let me see" },
  { type: "part-delta", choice: 0, index: 0, text: "", signature: "seal" },
  { type: "part-end", choice: 0, index: 0 },
  { type: "part-start", choice: 0, index: 1, part: { type: "text", text: "" } },
  { type: "part-delta", choice: 0, index: 1, text: "Hel" },
  { type: "part-delta", choice: 0, index: 1, text: "lo" },
  { type: "part-end", choice: 0, index: 1 },
  { type: "part-start", choice: 0, index: 2, part: { type: "tool-call", id: "call_a", name: "f", arguments: "" } },
  { type: "part-delta", choice: 0, index: 2, text: '{"x"' },
  { type: "part-start", choice: 0, index: 3, part: { type: "tool-call", id: "call_b", name: "g", arguments: "" } },
  { type: "part-delta", choice: 0, index: 3, text: "{}" },
  { type: "part-delta", choice: 0, index: 2, text: ":1}" },
  { type: "part-end", choice: 0, index: 2 },
  { type: "part-end", choice: 0, index: 3 },
  { type: "finish", choice: 0, reason: "tool-calls" },
  {
    type: "usage",
    usage: {
      inputTokens: 7,
      outputTokens: 5,
      cachedInputTokens: 2,
      cacheWriteTokens: 0,
      reasoningTokens: 3,
      estimated: false,
    },
  },
];
const context = {
  request: { model: "m", messages: [], stream: true, streamUsage: true },
  requestId: "0190a0b0-0000-7000-8000-000000000001",
  nowS: 1_700_000_000,
};
const streamOf = (dialect: Dialect, shown: readonly ChatEvent[] = events): string => {
  const renderer = dialect.streamRenderer(context);
  const text = shown.map((event) => renderer.push(event)).join("");
  const { preface, terminal } = renderer.end();
  return text + preface + terminal;
};
const drained = async (stream: AsyncIterable<unknown>): Promise<unknown[]> => {
  const seen: unknown[] = [];
  for await (const one of stream) seen.push(one);
  return seen;
};
const answering = (body: string, status = 200, contentType = "text/event-stream") => ({
  apiKey: "k",
  baseURL: "http://weir.test/v1",
  fetch: () => Promise.resolve(new Response(body, { status, headers: { "content-type": contentType } })),
});
const openai = (body: string, status?: number, contentType?: string): OpenAI =>
  new OpenAI({ ...answering(body, status, contentType), maxRetries: 0 });

describe("OpenAI's SDK", () => {
  it("gathers a chat completion from the stream", async () => {
    const stream = openai(streamOf(openAiChat)).chat.completions.stream({
      model: "m",
      messages: [{ role: "user", content: "x" }],
    });
    const completion = await stream.finalChatCompletion();
    expect(completion.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: "Hello",
        tool_calls: [
          { id: "call_a", function: { name: "f", arguments: '{"x":1}' } },
          { id: "call_b", function: { name: "g", arguments: "{}" } },
        ],
      },
    });
    expect(await stream.totalUsage()).toMatchObject({ prompt_tokens: 7, completion_tokens: 5 });
  });

  it("gathers a response from the stream", async () => {
    const response = await openai(streamOf(openAiResponses))
      .responses.stream({ model: "m", input: "x" })
      .finalResponse();
    expect(response).toMatchObject({
      status: "completed",
      output_text: "Hello",
      usage: { input_tokens: 7, output_tokens: 5 },
    });
    expect(response.output).toMatchObject([
      { type: "reasoning", summary: [{ text: "let me see" }] },
      { type: "message", content: [{ type: "output_text", text: "Hello" }] },
      { type: "function_call", call_id: "call_a", name: "f", arguments: '{"x":1}' },
      { type: "function_call", call_id: "call_b", arguments: "{}" },
    ]);
  });

  it("reads an incomplete response", async () => {
    const cut: ChatEvent[] = [...events.slice(0, 9), { type: "finish", choice: 0, reason: "length" }];
    const response = await openai(streamOf(openAiResponses, cut))
      .responses.stream({ model: "m", input: "x" })
      .finalResponse();
    expect(response).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output_text: "Hello",
    });
  });

  it("throws the error that ends a stream", async () => {
    const failing = openAiChat.renderStreamError(new WeirError("provider_error", "broke"), "r");
    const stream = await openai(failing).chat.completions.create({ model: "m", messages: [], stream: true });
    await expect(drained(stream)).rejects.toMatchObject({ message: "broke", code: "provider_error" });
    const events = await openai(
      openAiResponses.renderStreamError(new WeirError("provider_error", "broke"), "r"),
    ).responses.create({ model: "m", input: "x", stream: true });
    await expect(drained(events)).rejects.toMatchObject({ message: "broke", code: "provider_error" });
  });

  it("raises the error that the status and body stand for", async () => {
    for (const [reason, type] of [
      ["invalid_request", OpenAI.BadRequestError],
      ["invalid_key", OpenAI.AuthenticationError],
      ["model_not_allowed", OpenAI.PermissionDeniedError],
      ["model_not_found", OpenAI.NotFoundError],
      ["rate_limited", OpenAI.RateLimitError],
      ["budget_exceeded", OpenAI.RateLimitError],
      ["provider_error", OpenAI.InternalServerError],
      ["overloaded", OpenAI.InternalServerError],
    ] as const) {
      const error = new WeirError(reason, "why", { param: "p" });
      const body = JSON.stringify(openAiChat.renderError(error, "r"));
      const call = openai(body, error.status, "application/json").chat.completions.create({ model: "m", messages: [] });
      await expect(call).rejects.toBeInstanceOf(type);
      await expect(call).rejects.toMatchObject({ code: reason, param: "p" });
    }
  });

  it("reads a whole answer", async () => {
    const answer = {
      id: "x",
      model: "m",
      createdS: 1,
      choices: [{ index: 0, finishReason: "stop" as const, parts: [{ type: "text" as const, text: "Hello" }] }],
    };
    const whole = (dialect: Dialect): string => JSON.stringify(dialect.renderResponse(answer, context).body);
    const completion = await openai(whole(openAiChat), 200, "application/json").chat.completions.create({
      model: "m",
      messages: [],
    });
    expect(completion.choices[0]?.message.content).toBe("Hello");
    const response = await openai(whole(openAiResponses), 200, "application/json").responses.create({
      model: "m",
      input: "x",
    });
    expect(response.output_text).toBe("Hello");
  });
});

describe("the AI SDK", () => {
  const schema = jsonSchema({ type: "object" });
  const tools: ToolSet = { f: tool({ inputSchema: schema }), g: tool({ inputSchema: schema }) };

  it.each([
    ["chat completions", openAiChat],
    ["responses", openAiResponses],
  ] as const)("reads streamed %s", async (_, dialect) => {
    const provider = createOpenAI(answering(streamOf(dialect)));
    const model = dialect === openAiChat ? provider.chat("m") : provider.responses("m");
    const result = streamText({ model, prompt: "x", tools, maxRetries: 0 });
    expect(await result.text).toBe("Hello");
    expect(
      (await result.toolCalls).map(({ toolCallId, toolName, input }) => ({ toolCallId, toolName, input })),
    ).toEqual([
      { toolCallId: "call_a", toolName: "f", input: { x: 1 } },
      { toolCallId: "call_b", toolName: "g", input: {} },
    ]);
    expect(await result.finishReason).toBe("tool-calls");
    expect(await result.usage).toMatchObject({ inputTokens: 7, outputTokens: 5 });
    if (dialect === openAiResponses) expect(await result.reasoningText).toBe("let me see");
  });

  it.each([
    ["chat completions", openAiChat],
    ["responses", openAiResponses],
  ] as const)("hears of the error that ends streamed %s", async (_, dialect) => {
    const text = dialect.renderStreamError(new WeirError("provider_error", "broke"), "r");
    const provider = createOpenAI(answering(text));
    const model = dialect === openAiChat ? provider.chat("m") : provider.responses("m");
    const errors: unknown[] = [];
    const result = streamText({ model, prompt: "x", maxRetries: 0, onError: ({ error }) => void errors.push(error) });
    for await (const part of result.fullStream)
      if (part.type === "error") expect(JSON.stringify(part.error)).toContain("broke");
    expect(errors.length).toBeGreaterThan(0);
  });
});
