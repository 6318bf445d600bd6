import { describe, expect, it } from "vitest";
import { answerEssence, eventsThrough, names, responseOf, responseThrough } from "../test/translation-kit.ts";
import { cohereChat } from "./cohere-chat.ts";
import type { ChatEvent, JsonObject } from "./core.ts";
import { dialects } from "./dialects.ts";
import { encodeSse, SseParser } from "./sse.ts";

const render = (body: JsonObject) =>
  cohereChat.renderRequest(dialects["openai-chat"].parseRequest({ model: "command-a-03-2025", ...body }));
const tool = { type: "function", function: { name: "get_weather", description: "d", parameters: { type: "object" } } };

describe("a request to Cohere", () => {
  it("is said in its words", () => {
    const { body, dropped } = render({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What?" },
            { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
          ],
        },
        {
          role: "assistant",
          reasoning_content: "I will look.",
          content: null,
          tool_calls: [{ id: "c1", type: "function", function: { name: "get_weather", arguments: "" } }],
        },
        { role: "tool", tool_call_id: "c1", content: "3" },
      ],
      tools: [tool],
      tool_choice: "required",
      max_tokens: 9,
      temperature: 0.1,
      top_p: 0.5,
      top_k: 3,
      stop: ["END"],
      seed: 1,
      response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "object" } } },
      documents: [{ data: { text: "t" } }],
      safety_mode: "NONE",
      store: false,
      n: 1,
      stream: true,
    });
    expect(body).toEqual({
      documents: [{ data: { text: "t" } }],
      safety_mode: "NONE",
      model: "command-a-03-2025",
      messages: [
        { role: "system", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What?" },
            { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
          ],
        },
        {
          role: "assistant",
          tool_plan: "I will look.",
          tool_calls: [{ id: "c1", type: "function", function: { name: "get_weather", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "c1", content: "3" },
      ],
      tools: [tool],
      tool_choice: "REQUIRED",
      response_format: { type: "json_object", json_schema: { type: "object" } },
      max_tokens: 9,
      temperature: 0.1,
      p: 0.5,
      k: 3,
      stop_sequences: ["END"],
      seed: 1,
      stream: true,
    });
    expect(dropped).toEqual(["store"]);
  });

  it("forces a named tool by giving no other, and none by its word", () => {
    const other = { type: "function", function: { name: "other", parameters: { type: "object" } } };
    const messages = [{ role: "user", content: "x" }];
    const named = render({
      messages,
      tools: [tool, other],
      tool_choice: { type: "function", function: { name: "other" } },
    });
    expect(named.body).toMatchObject({ tools: [other], tool_choice: "REQUIRED" });
    expect(render({ messages, tools: [tool], tool_choice: "none" }).body).toMatchObject({ tool_choice: "NONE" });
  });

  it("thinks by a budget where the model can", () => {
    const ask = (model: string, more: JsonObject) =>
      render({ messages: [{ role: "user", content: "x" }], model, ...more });
    expect(ask("command-a-reasoning-08-2025", { reasoning_effort: "none" }).body["thinking"]).toEqual({
      type: "disabled",
    });
    expect(ask("command-a-reasoning-08-2025", { reasoning: { max_tokens: 99 } }).body["thinking"]).toEqual({
      type: "enabled",
      token_budget: 99,
    });
    expect(ask("command-a-03-2025", { reasoning_effort: "high" }).dropped).toEqual(["reasoning"]);
  });
});

const usage = {
  billed_units: { input_tokens: 10, output_tokens: 5 },
  tokens: { input_tokens: 70, output_tokens: 9 },
  cached_tokens: 4,
};
const cited = { start: 0, end: 3, text: "Loo", sources: [{ type: "document", id: "d" }] };
const WHOLE: JsonObject = {
  id: "c14c80c3",
  finish_reason: "TOOL_CALL",
  message: {
    role: "assistant",
    tool_plan: "I will look.",
    content: [{ type: "text", text: "Looking." }],
    tool_calls: [
      { id: "c1", type: "function", function: { name: "get_weather", arguments: '{"city":"Bern"}' } },
      { id: "c2", type: "function", function: { name: "ping", arguments: "{}" } },
    ],
    citations: [cited],
  },
  usage,
};
const EVENTS: JsonObject[] = [
  {
    id: "c14c80c3",
    type: "message-start",
    delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [] } },
  },
  { type: "tool-plan-delta", delta: { message: { tool_plan: "I will" } } },
  { type: "tool-plan-delta", delta: { message: { tool_plan: " look." } } },
  { type: "content-start", index: 0, delta: { message: { content: { type: "text", text: "" } } } },
  { type: "content-delta", index: 0, delta: { message: { content: { text: "Loo" } } } },
  { type: "citation-start", index: 0, delta: { message: { citations: cited } } },
  { type: "citation-end", index: 0 },
  { type: "content-delta", index: 0, delta: { message: { content: { text: "king." } } } },
  { type: "content-end", index: 0 },
  {
    type: "tool-call-start",
    index: 0,
    delta: {
      message: { tool_calls: { id: "c1", type: "function", function: { name: "get_weather", arguments: "" } } },
    },
  },
  { type: "tool-call-delta", index: 0, delta: { message: { tool_calls: { function: { arguments: '{"city":' } } } } },
  { type: "tool-call-delta", index: 0, delta: { message: { tool_calls: { function: { arguments: '"Bern"}' } } } } },
  { type: "tool-call-end", index: 0 },
  {
    type: "tool-call-start",
    index: 1,
    delta: { message: { tool_calls: { id: "c2", type: "function", function: { name: "ping", arguments: "{}" } } } },
  },
  { type: "tool-call-end", index: 1 },
  { type: "message-end", id: "c14c80c3", delta: { finish_reason: "TOOL_CALL", usage } },
];

function stream(events: readonly JsonObject[], cut = 13): ChatEvent[] {
  const sse = new SseParser();
  const parser = cohereChat.streamParser({ model: "command-a" });
  const read: ChatEvent[] = [];
  const bytes = Buffer.from(
    events
      .map((body) => encodeSse({ event: JSON.stringify(body["type"]).slice(1, -1), data: JSON.stringify(body) }))
      .join(""),
  );
  for (let at = 0; at < bytes.length; at += cut)
    for (const event of sse.push(bytes.subarray(at, at + cut))) read.push(...parser.push(event));
  for (const event of sse.end()) read.push(...parser.push(event));
  return [...read, ...parser.end()];
}

describe("an answer of Cohere", () => {
  it("says the same whole and streamed, counted as it is billed", () => {
    const whole = cohereChat.parseResponse(WHOLE, { model: "command-a" });
    expect(whole).toMatchObject({ id: "c14c80c3", model: "command-a" });
    expect(whole.usage).toMatchObject({ inputTokens: 10, outputTokens: 5, cachedInputTokens: 4 });
    for (const cut of [1, 13, 100_000]) {
      const streamed = responseOf(stream(EVENTS, cut));
      expect(answerEssence(streamed)).toEqual(answerEssence(whole));
      expect(streamed.usage).toEqual(whole.usage);
    }
  });

  it.each(names)("is told whole and streamed in %s", (name) => {
    const whole = cohereChat.parseResponse(WHOLE, { model: "command-a" });
    expect(answerEssence(responseThrough(dialects[name], whole).value)).toEqual(answerEssence(whole));
    expect(answerEssence(responseOf(eventsThrough(dialects[name], stream(EVENTS), 9).value))).toEqual(
      answerEssence(whole),
    );
  });

  it("that thinks is told as thinking", () => {
    const content = [
      { type: "thinking", thinking: "Hm." },
      { type: "text", text: "4" },
    ];
    const whole = cohereChat.parseResponse({ id: "x", finish_reason: "COMPLETE", message: { content } });
    const streamed = stream([
      { type: "message-start", id: "x" },
      { type: "content-start", index: 0, delta: { message: { content: { type: "thinking", thinking: "" } } } },
      { type: "content-delta", index: 0, delta: { message: { content: { thinking: "Hm." } } } },
      { type: "content-end", index: 0 },
      { type: "content-start", index: 1, delta: { message: { content: { type: "text", text: "" } } } },
      { type: "content-delta", index: 1, delta: { message: { content: { text: "4" } } } },
      { type: "message-end", delta: { finish_reason: "COMPLETE" } },
    ]);
    expect(answerEssence(whole)).toMatchObject({ thinking: "Hm.", text: "4", finish: "stop" });
    expect(answerEssence(responseOf(streamed))).toEqual(answerEssence(whole));
  });

  it("that breaks off, at whatever event, is interrupted; that fails says so", () => {
    for (let kept = 0; kept < EVENTS.length; kept += 1)
      expect(() => stream(EVENTS.slice(0, kept))).toThrow("ended too early");
    const failed = { type: "message-end", delta: { finish_reason: "ERROR", error: "it broke" } };
    expect(() => stream([...EVENTS.slice(0, 5), failed])).toThrow("it broke");
  });
});

describe("an error of Cohere", () => {
  it.each([
    [401, "invalid api token", "provider_auth", undefined],
    [498, "blocked", "provider_auth", undefined],
    [429, "You are past the per minute request limit", "provider_rate_limited", undefined],
    [429, "You are using a Trial key, which is limited to 1000 API calls / month.", "provider_quota", undefined],
    [402, "pay", "provider_quota", undefined],
    [400, "too many tokens: size limit exceeded by 12 tokens", "provider_rejected", "context_length_exceeded"],
    [422, "no", "provider_rejected", undefined],
    [503, "busy", "provider_overloaded", undefined],
    [504, "slow", "provider_timeout", undefined],
    [500, "broke", "provider_error", undefined],
  ])("%i %s is %s", (status, message, reason, code) => {
    const failure = cohereChat.parseError(status, { id: "x", message }, () => undefined);
    expect([failure.error.reason, failure.code]).toEqual([reason, code]);
  });
});
