import { describe, expect, it } from "vitest";
import { answerEssence, parseBytes, responseOf } from "../test/translation-kit.ts";
import type { JsonObject } from "./core.ts";
import { dialects } from "./dialects.ts";
import { mistralChat } from "./mistral-chat.ts";

const render = (body: JsonObject) =>
  mistralChat.renderRequest(dialects["openai-chat"].parseRequest({ model: "mistral-large-latest", ...body }));
const hello = { messages: [{ role: "user", content: "Hi" }] };

describe("a request to Mistral", () => {
  it("is said in its words, with what only it knows, and without what it refuses", () => {
    const { body, dropped } = render({
      ...hello,
      max_completion_tokens: 9,
      seed: 7,
      tool_choice: "required",
      tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
      safe_prompt: true,
      prompt_cache_key: "k",
      stream: true,
      stream_options: { include_usage: true },
      user: "u",
      logprobs: true,
      store: true,
      frequency_penalty: null,
    });
    expect(body).toEqual({
      model: "mistral-large-latest",
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 9,
      random_seed: 7,
      tool_choice: "any",
      tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
      safe_prompt: true,
      prompt_cache_key: "k",
      stream: true,
    });
    expect(dropped.toSorted()).toEqual(["logprobs", "store", "user"]);
  });

  it("has ids of nine letters and digits, the same for a call and its result", () => {
    const { body, dropped } = render({
      messages: [
        { role: "user", content: "x", name: "ann" },
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "call_abcdefghijklmnop", type: "function", function: { name: "f", arguments: "{}" } },
            { id: "D681PevKs", type: "function", function: { name: "f", arguments: "", parsed_arguments: {} } },
          ],
          // As OpenAI's client keeps it.
          parsed: null,
          annotations: [],
        },
        { role: "tool", tool_call_id: "call_abcdefghijklmnop", name: "f", content: "1" },
        { role: "tool", tool_call_id: "D681PevKs", content: "2" },
      ],
    });
    const [user, assistant, first, second] = body["messages"] as JsonObject[];
    const [one, other] = ((assistant?.["tool_calls"] ?? []) as { id: string }[]).map(({ id }) => id);
    expect(one).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(other).toBe("D681PevKs");
    expect(Object.keys(assistant ?? {}).toSorted()).toEqual(["content", "role", "tool_calls"]);
    expect(JSON.stringify(assistant)).not.toContain("parsed");
    expect(dropped.toSorted()).toEqual(["messages[0].name", "messages[1].annotations"]);
    expect(first).toEqual({ role: "tool", tool_call_id: one, name: "f", content: "1" });
    expect(second).toEqual({ role: "tool", tool_call_id: "D681PevKs", content: "2" });
    expect(user).toEqual({ role: "user", content: "x" });
  });

  it("brings thinking, documents and sound as parts, instructions as a system's", () => {
    const { body } = render({
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } },
            { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
          ],
        },
        { role: "assistant", reasoning_content: "Hm.", content: "4", prefix: true },
      ],
    });
    expect(body["messages"]).toEqual([
      { role: "system", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "document_url", document_url: "data:application/pdf;base64,JVBERi0=", document_name: "a.pdf" },
          { type: "input_audio", input_audio: "UklGRg==" },
        ],
      },
      {
        role: "assistant",
        prefix: true,
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "Hm." }] },
          { type: "text", text: "4" },
        ],
      },
    ]);
  });

  it.each([
    ["mistral-small-latest", "low", "high"],
    ["mistral-small-2603", "none", "none"],
    ["magistral-medium-latest", "high", undefined],
    ["mistral-large-2512", "high", undefined],
  ])("tells %s to think %s where it can be told", (model, effort, told) => {
    const { body, dropped } = render({ ...hello, model, reasoning_effort: effort });
    expect(body["reasoning_effort"]).toBe(told);
    expect(dropped).toEqual(model === "mistral-large-2512" ? ["reasoning"] : []);
  });
});

describe("an answer of Mistral", () => {
  const thinking = { type: "thinking", thinking: [{ type: "text", text: "2 and 2…" }] };
  const usage = {
    prompt_tokens: 12,
    completion_tokens: 5,
    total_tokens: 17,
    prompt_tokens_details: { cached_tokens: 8 },
  };

  it("that thinks is text and thinking to every client", () => {
    const body: JsonObject = {
      id: "x",
      object: "chat.completion",
      created: 1,
      model: "magistral-medium-latest",
      choices: [
        {
          index: 0,
          finish_reason: "stop",
          message: {
            role: "assistant",
            tool_calls: null,
            content: [
              thinking,
              { type: "text", text: "4" },
              { type: "reference", reference_ids: [1] },
              { type: "text", text: "." },
            ],
          },
        },
      ],
      usage,
    };
    const response = mistralChat.parseResponse(body);
    expect(answerEssence(response)).toMatchObject({
      text: "4.",
      thinking: "2 and 2…",
      finish: "stop",
      usage: { inputTokens: 12, cachedInputTokens: 8, outputTokens: 5 },
    });
    const shown = dialects["openai-chat"].renderResponse(response, {
      request: dialects["openai-chat"].parseRequest({ model: "m", ...hello }),
      requestId: "r",
      nowS: 1,
    });
    expect(shown.body).toMatchObject({ choices: [{ message: { content: "4.", reasoning_content: "2 and 2…" } }] });
  });

  it("says the same streamed", () => {
    const head = { id: "x", object: "chat.completion.chunk", created: 1, model: "m" };
    const chunk = (delta: JsonObject, more: JsonObject = {}, outer: JsonObject = {}): string =>
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, finish_reason: null, ...more }], ...outer })}\n\n`;
    const call = { id: "D681PevKs", function: { name: "f", arguments: '{"a":1}' }, index: 0 };
    const bytes = Buffer.from(
      [
        chunk({ role: "assistant", content: "" }),
        chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "2 and" }] }] }),
        chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: " 2…" }] }] }),
        chunk({ content: "4" }),
        chunk({ content: "." }),
        chunk({ content: "", tool_calls: [call] }, { finish_reason: "tool_calls" }, { usage }),
        "data: [DONE]\n\n",
      ].join(""),
    );
    for (const cut of [1, 7, 1000])
      expect(answerEssence(responseOf(parseBytes(dialects["openai-chat"], bytes, cut)))).toMatchObject({
        text: "4.",
        thinking: "2 and 2…",
        calls: [{ name: "f", arguments: { a: 1 } }],
        finish: "tool-calls",
        usage: { inputTokens: 12, cachedInputTokens: 8 },
      });
  });
});

describe("an error", () => {
  const headers = (): undefined => undefined;
  it.each<[number, JsonObject, string]>([
    [401, { message: "Unauthorized", request_id: "x" }, "provider_auth"],
    [
      422,
      { detail: [{ type: "extra_forbidden", loc: ["body", "x"], msg: "Extra inputs are not permitted" }] },
      "provider_rejected",
    ],
    [
      429,
      { object: "error", message: "Requests rate limit exceeded", type: "rate_limited", code: "1300" },
      "provider_rate_limited",
    ],
    [
      429,
      {
        object: "error",
        message: "Service tier capacity exceeded",
        type: "service_tier_capacity_exceeded",
        code: "3505",
      },
      "provider_overloaded",
    ],
    [503, { message: "no" }, "provider_overloaded"],
  ])("of Mistral: %i %j is %s", (status, body, reason) => {
    expect(mistralChat.parseError(status, body, headers).error.reason).toBe(reason);
  });

  it.each([
    [429, "overloaded", "provider_overloaded"],
    [422, "validation", "provider_rejected"],
    [424, "generation", "provider_rejected"],
    [500, "incomplete_generation", "provider_error"],
  ])("of TGI: %i %s is %s", (status, type, reason) => {
    const { error, code } = dialects["openai-chat"].parseError(status, { error: "it said", error_type: type }, headers);
    expect([error.reason, error.message, code]).toEqual([reason, "it said", type]);
  });
});
