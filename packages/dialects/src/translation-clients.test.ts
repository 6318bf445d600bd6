import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { WeirError } from "@weir/kernel";
import { describe, expect, it } from "vitest";
import { contextOf, anyRequest, eventsOf, names, parseBytes, responseThrough } from "../test/translation-kit.ts";
import type { ChatEvent, ChatResponse, DialectName, JsonObject } from "./core.ts";
import { dialects } from "./dialects.ts";

/** The official clients read what was written for them from streams of every provider. */
const streamed: ChatResponse = {
  id: "answer_1",
  model: "model-1",
  createdS: 1_700_000_000,
  choices: [
    {
      index: 0,
      parts: [
        { type: "thinking", text: "Both places." },
        { type: "text", text: "Looking both up." },
        { type: "tool-call", id: "call_1", name: "get_weather", arguments: '{"city":"Bern","days":[1,2]}' },
        { type: "tool-call", id: "call_2", name: "get_weather", arguments: '{"city":"Rome"}' },
        { type: "tool-call", id: "call_3", name: "ping", arguments: "{}" },
      ],
      finishReason: "tool-calls",
    },
  ],
  usage: {
    inputTokens: 30,
    outputTokens: 20,
    cachedInputTokens: 10,
    cacheWriteTokens: 0,
    reasoningTokens: 5,
    estimated: false,
  },
};

/** The events of a provider's stream for this answer. */
function eventsFrom(name: DialectName): ChatEvent[] {
  const renderer = dialects[name].streamRenderer(contextOf(anyRequest));
  const shown = eventsOf(streamed, 3)
    .map((event) => renderer.push(event))
    .join("");
  const { preface, terminal } = renderer.end();
  return parseBytes(dialects[name], Buffer.from(shown + preface + terminal), 11);
}

function render(name: DialectName, events: readonly ChatEvent[]): string {
  const renderer = dialects[name].streamRenderer(contextOf(anyRequest));
  const shown = events.map((event) => renderer.push(event)).join("");
  const { preface, terminal } = renderer.end();
  return shown + preface + terminal;
}

const anthropic = (status: number, type: string, body: string): Anthropic =>
  new Anthropic({
    apiKey: "none",
    maxRetries: 0,
    fetch: () => Promise.resolve(new Response(body, { status, headers: { "content-type": type } })),
  });
const question = { model: "m", max_tokens: 10, messages: [{ role: "user" as const, content: "hi" }] };

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

/** Deltas of parallel calls that take turns, as OpenAI's format allows. */
const alternating: ChatEvent[] = [
  { type: "start", id: "a", model: "m", createdS: 0 },
  { type: "part-start", choice: 0, index: 0, part: { type: "tool-call", id: "x.1", name: "one", arguments: "" } },
  { type: "part-start", choice: 0, index: 1, part: { type: "tool-call", id: "x_1", name: "two", arguments: "" } },
  { type: "part-delta", choice: 0, index: 0, text: '{"a":' },
  { type: "part-delta", choice: 0, index: 1, text: '{"b":' },
  { type: "part-delta", choice: 0, index: 0, text: "1}" },
  { type: "part-start", choice: 0, index: 2, part: { type: "text", text: "" } },
  { type: "part-delta", choice: 0, index: 2, text: "done" },
  { type: "part-delta", choice: 0, index: 1, text: "2}" },
  { type: "part-end", choice: 0, index: 0 },
  { type: "part-end", choice: 0, index: 2 },
  { type: "part-end", choice: 0, index: 1 },
  { type: "finish", choice: 0, reason: "tool-calls" },
];

describe("Anthropic's client", () => {
  it.each(names)("puts a stream of %s together", async (name) => {
    const text = render("anthropic-messages", eventsFrom(name));
    const message = await anthropic(200, "text/event-stream", text).messages.stream(question).finalMessage();
    expect(message.content).toMatchObject([
      { type: "thinking", thinking: "Both places." },
      { type: "text", text: "Looking both up." },
      { type: "tool_use", name: "get_weather", input: { city: "Bern", days: [1, 2] } },
      { type: "tool_use", name: "get_weather", input: { city: "Rome" } },
      { type: "tool_use", name: "ping", input: {} },
    ]);
    expect(message.stop_reason).toBe("tool_use");
    expect(message.usage).toMatchObject({ input_tokens: 20, cache_read_input_tokens: 10, output_tokens: 20 });
  });

  it("gets one block at a time where calls took turns, each with all of its arguments", async () => {
    const text = render("anthropic-messages", alternating);
    const message = await anthropic(200, "text/event-stream", text).messages.stream(question).finalMessage();
    expect(message.content).toMatchObject([
      { type: "tool_use", name: "one", input: { a: 1 } },
      { type: "tool_use", name: "two", input: { b: 2 } },
      { type: "text", text: "done" },
    ]);
    const ids = message.content.flatMap((block) => (block.type === "tool_use" ? [block.id] : []));
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^[a-zA-Z0-9_-]+$/);
    const order = text.split("\n\n").flatMap((event) => /"type":"content_block_(start|stop)"/.exec(event)?.[1] ?? []);
    expect(order).toEqual(["start", "stop", "start", "stop", "start", "stop"]);
  });

  it("reads a whole answer", async () => {
    const { body } = dialects["anthropic-messages"].renderResponse(streamed, contextOf(anyRequest));
    const message = await anthropic(200, "application/json", JSON.stringify(body)).messages.create(question);
    expect(message.content).toHaveLength(5);
    expect(message.stop_reason).toBe("tool_use");
  });

  it("throws its own errors for ours, with our reason as their code", async () => {
    const limited = new WeirError("rate_limited", "slow down");
    const body = dialects["anthropic-messages"].renderError(limited, "request-1");
    await expect(anthropic(429, "application/json", JSON.stringify(body)).messages.create(question)).rejects.toThrow(
      expect.objectContaining({ status: 429, type: "rate_limit_error", errorCode: "rate_limited" }),
    );
  });

  it("throws for an error within a stream", async () => {
    const shown = eventsFrom("openai-chat").slice(0, 4);
    const renderer = dialects["anthropic-messages"].streamRenderer(contextOf(anyRequest));
    const text = shown.map((event) => renderer.push(event)).join("");
    const broken = new WeirError("provider_overloaded", "too much");
    const body = text + dialects["anthropic-messages"].renderStreamError(broken, "request-1");
    await expect(anthropic(200, "text/event-stream", body).messages.stream(question).finalMessage()).rejects.toThrow(
      expect.objectContaining({ type: "overloaded_error" }),
    );
  });
});

describe("Google's client", () => {
  /** Its client takes no fetch: it is answered over loopback. */
  async function answered<T>(
    status: number,
    type: string,
    body: string,
    run: (client: GoogleGenAI) => Promise<T>,
  ): Promise<T> {
    const server = createServer((_, response) => response.writeHead(status, { "content-type": type }).end(body));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      return await run(new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: `http://127.0.0.1:${port}` } }));
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }

  it.each(names)("puts a stream of %s together", async (name) => {
    const body = render("gemini-generate", eventsFrom(name));
    const chunks = await answered(200, "text/event-stream", body, async (client) => {
      const stream = await client.models.generateContentStream({ model: "m", contents: "hi" });
      return collect(stream);
    });
    const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
    const text = (thought: boolean) =>
      parts.map((part) => ((part.thought ?? false) === thought ? (part.text ?? "") : ""));
    expect(text(false).join("")).toBe("Looking both up.");
    expect(text(true).join("")).toBe("Both places.");
    const calls = chunks.flatMap((chunk) => chunk.functionCalls ?? []);
    expect(calls).toMatchObject([
      { name: "get_weather", args: { city: "Bern", days: [1, 2] } },
      { name: "get_weather", args: { city: "Rome" } },
      { name: "ping", args: {} },
    ]);
    expect(chunks.at(-1)?.candidates?.[0]?.finishReason).toBe("STOP");
    expect(chunks.at(-1)?.usageMetadata).toMatchObject({
      promptTokenCount: 30,
      cachedContentTokenCount: 10,
      candidatesTokenCount: 15,
      thoughtsTokenCount: 5,
      totalTokenCount: 50,
    });
  });

  it("goes on with the conversation after a stream", async () => {
    const text = render("gemini-generate", eventsFrom("openai-chat"));
    const history = await answered(200, "text/event-stream", text, async (client) => {
      const chat = client.chats.create({ model: "m" });
      await collect(await chat.sendMessageStream({ message: "hi" }));
      return chat.getHistory(true);
    });
    const contents = JSON.parse(JSON.stringify(history)) as JsonObject[];
    const request = dialects["gemini-generate"].parseRequest({ model: "m", contents });
    const { value } = responseThrough(dialects["gemini-generate"], streamed);
    const said = request.messages.filter((message) => message.role === "assistant").flatMap((message) => message.parts);
    for (const part of value.choices[0]?.parts ?? [])
      if (part.type === "tool-call")
        expect(said).toContainEqual(expect.objectContaining({ name: part.name, id: part.id }));
  });

  it("throws its own errors for ours", async () => {
    const body = dialects["gemini-generate"].renderError(new WeirError("budget_exceeded", "spent"), "request-1");
    await answered(429, "application/json", JSON.stringify(body), async (client) => {
      await expect(client.models.generateContent({ model: "m", contents: "hi" })).rejects.toThrow(
        expect.objectContaining({ status: 429, message: expect.stringContaining("budget_exceeded") as string }),
      );
    });
  });
});
