import { describe, expect, it } from "vitest";
import {
  answerEssence,
  eventsOf,
  eventsThrough,
  except,
  names,
  pairs,
  requestEssence,
  requestThrough,
  responseOf,
  responseThrough,
} from "../test/translation-kit.ts";
import type { ChatRequest, ChatResponse, Choice, Part, Tool, Usage } from "./core.ts";
import { dialects } from "./dialects.ts";

const text = (said: string): Part => ({ type: "text", text: said });
const call = (id: string, name: string, given: unknown): Part => ({
  type: "tool-call",
  id,
  name,
  arguments: JSON.stringify(given),
});
const result = (id: string, said: string, isError?: boolean): Part => ({
  type: "tool-result",
  id,
  parts: [text(said)],
  isError,
});
const weather: Tool = {
  type: "function",
  name: "get_weather",
  description: "The weather of a place",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const base = { model: "claude-sonnet-4-5", stream: false } as const;

const conversations: Record<string, ChatRequest> = {
  "a text": { ...base, messages: [{ role: "user", parts: [text("Hello, wörld 🌍")] }] },
  "several turns under instructions": {
    ...base,
    messages: [
      { role: "system", parts: [text("Be brief.")] },
      { role: "user", parts: [text("One?")] },
      { role: "assistant", parts: [text("1")] },
      { role: "user", parts: [text("Two?")] },
    ],
    maxOutputTokens: 77,
    temperature: 0.5,
    stop: ["END"],
    stream: true,
  },
  "tools over two turns": {
    ...base,
    messages: [
      { role: "user", parts: [text("Weather in Bern, then in Rome?")] },
      { role: "assistant", parts: [text("Looking."), call("call_1", "get_weather", { city: "Bern" })] },
      { role: "tool", parts: [result("call_1", '{"celsius":3}')] },
      { role: "assistant", parts: [call("call_2", "get_weather", { city: "Rome" })] },
      { role: "tool", parts: [result("call_2", "no such place", true)] },
    ],
    tools: [weather],
    toolChoice: { mode: "auto" },
  },
  "parallel tools, then a question": {
    ...base,
    messages: [
      { role: "user", parts: [text("Both?")] },
      {
        role: "assistant",
        parts: [call("a", "get_weather", { city: "Bern" }), call("b", "get_weather", { city: "Rome" })],
      },
      { role: "tool", parts: [result("a", "3")] },
      { role: "tool", parts: [result("b", "20")] },
      { role: "user", parts: [text("Which is warmer?")] },
    ],
    tools: [weather, { type: "function", name: "nothing_needed" }],
    toolChoice: { mode: "required" },
  },
  "a named tool": {
    ...base,
    messages: [{ role: "user", parts: [text("Go.")] }],
    tools: [weather],
    toolChoice: { mode: "named", name: "get_weather" },
  },
  "images by bytes and by address": {
    ...base,
    messages: [
      {
        role: "user",
        parts: [
          text("What are these?"),
          { type: "media", kind: "image", mediaType: "image/png", source: { base64: "iVBORw0KGgo=" } },
          { type: "media", kind: "image", source: { url: "https://example.com/cat.png" } },
        ],
      },
    ],
  },
  "a structured answer": {
    ...base,
    messages: [{ role: "user", parts: [text("A city?")] }],
    responseFormat: {
      type: "schema",
      schema: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
        additionalProperties: false,
      },
    },
  },
};

describe.each(pairs)("a request from %s to %s", (from, to) => {
  it.each(Object.entries(conversations))("keeps %s", (_, request) => {
    const first = requestThrough(dialects[from], request);
    expect(except(requestEssence(first.value), first.dropped)).toMatchObject(
      // Anthropic must have a cap: it is made up where there is none.
      { ...except(requestEssence(request), first.dropped), maxOutputTokens: first.value.maxOutputTokens },
    );
    const second = requestThrough(dialects[to], first.value);
    const dropped = [...first.dropped, ...second.dropped];
    expect(except(requestEssence(second.value), dropped)).toEqual({
      ...except(requestEssence(first.value), dropped),
      maxOutputTokens: first.value.maxOutputTokens ?? second.value.maxOutputTokens,
    });
    // What these conversations lose is known, and no more than it.
    for (const name of dropped) expect(name).toMatch(/is_error$|\.name$|^stop$|^store$/);
  });
});

const usage: Usage = {
  inputTokens: 120,
  outputTokens: 45,
  cachedInputTokens: 100,
  cacheWriteTokens: 0,
  reasoningTokens: 20,
  estimated: false,
};
const answer = (choice: Omit<Choice, "index">): ChatResponse => ({
  id: "answer_1",
  model: "model-1",
  createdS: 1_700_000_000,
  choices: [{ index: 0, ...choice }],
  usage,
});
const answers: Record<string, ChatResponse> = {
  "a text": answer({ parts: [text("Hello, wörld 🌍\nand more")], finishReason: "stop" }),
  "an answer cut by its cap": answer({ parts: [text("Once upon")], finishReason: "length" }),
  "a tool call after text": answer({
    parts: [text("Looking."), call("call_1", "get_weather", { city: "Bern", days: [1, 2.5], deep: { a: null } })],
    finishReason: "tool-calls",
  }),
  "parallel tool calls": answer({
    parts: [
      call("a", "get_weather", { city: "Bern" }),
      call("b", "get_weather", { city: "Rome" }),
      call("c", "ping", {}),
    ],
    finishReason: "tool-calls",
  }),
  thinking: answer({
    parts: [{ type: "thinking", text: "Let me see. It is 4." }, text("4")],
    finishReason: "stop",
  }),
  "thinking before a tool call": answer({
    parts: [{ type: "thinking", text: "I need the weather." }, call("a", "get_weather", { city: "Bern" })],
    finishReason: "tool-calls",
  }),
  "a filtered answer": answer({ parts: [text("I was going to")], finishReason: "content-filter" }),
  "a refusal": answer({ parts: [{ type: "refusal", text: "I cannot help with that." }], finishReason: "refusal" }),
  "a structured answer": answer({ parts: [text('{"city":"Bern"}')], finishReason: "stop" }),
};
const cases = pairs.flatMap(([from, to]) =>
  Object.entries(answers).map(([name, response]) => ({ from, to, name, response })),
);

describe("what a provider sealed", () => {
  const sealed: ChatRequest = {
    ...base,
    messages: [
      { role: "user", parts: [text("Go.")] },
      {
        role: "assistant",
        parts: [
          {
            type: "thinking",
            text: "Hm.",
            signature: "c2VhbA==",
            extra: { dialect: "anthropic-messages", fields: {} },
          },
          call("toolu_1", "get_weather", { city: "Bern" }),
        ],
      },
      { role: "tool", parts: [result("toolu_1", "3")] },
    ],
    tools: [weather],
  };

  it.each(names)("goes back to its own dialect only (%s)", (name) => {
    const { body, dropped } = dialects[name].renderRequest(sealed);
    const own = name === "anthropic-messages";
    expect(JSON.stringify(body).includes("c2VhbA==")).toBe(own);
    expect(dropped.some((one) => /thinking|signature/.test(one))).toBe(!own);
  });

  it("is made good by Google's own word where a call came from elsewhere and the model checks", () => {
    const { body } = dialects["gemini-generate"].renderRequest({ ...sealed, model: "gemini-3-pro" });
    expect(body.contents).toMatchObject([
      { role: "user" },
      {
        role: "model",
        parts: [
          // A thought without its own seal is only text that was thought.
          { text: "Hm.", thought: true },
          { functionCall: { name: "get_weather" }, thoughtSignature: "skip_thought_signature_validator" },
        ],
      },
      { role: "user", parts: [{ functionResponse: { name: "get_weather", response: { output: "3" } } }] },
    ]);
  });
});

describe("an answer", () => {
  it.each(cases)("of $from keeps $name for $to, whole", ({ from, to, response }) => {
    const first = responseThrough(dialects[from], response).value;
    expect(answerEssence(first)).toEqual(answerEssence(response));
    expect(answerEssence(responseThrough(dialects[to], first).value)).toEqual(answerEssence(response));
  });

  it.each(cases)("of $from keeps $name for $to, streamed", ({ from, to, response }) => {
    for (const cut of [7, 1_000_000]) {
      const first = eventsThrough(dialects[from], eventsOf(response), cut).value;
      expect(answerEssence(responseOf(first))).toEqual(answerEssence(response));
      const second = eventsThrough(dialects[to], first, cut).value;
      expect(answerEssence(responseOf(second))).toEqual(answerEssence(response));
    }
  });
});
