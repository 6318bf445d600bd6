import { describe, expect, it } from "vitest";
import { anyRequest, contextOf, parseBytes, responseOf } from "../test/translation-kit.ts";
import { anthropicMessages as dialect } from "./anthropic-messages.ts";
import type { ChatRequest, Json, JsonObject, Part } from "./core.ts";
import { openAiChat } from "./openai-chat.ts";

const again = (body: JsonObject): JsonObject => dialect.renderRequest(dialect.parseRequest(body)).body;
const render = (request: Partial<ChatRequest>) =>
  dialect.renderRequest({ ...anyRequest, model: "claude-sonnet-4-5", stream: false, ...request });
const text = (said: string): Part => ({ type: "text", text: said });
const cached = { cache_control: { type: "ephemeral" } };

describe("a request of Anthropic's", () => {
  const body: JsonObject = {
    model: "claude-opus-4-8",
    max_tokens: 5000,
    system: [{ type: "text", text: "Be brief.", ...cached }],
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "Look:", ...cached },
          { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
          { type: "image", source: { type: "file", file_id: "file_1" } },
          {
            type: "document",
            source: { type: "text", media_type: "text/plain", data: "wörds" },
            title: "t",
            citations: { enabled: true },
          },
          { type: "document", source: { type: "content", content: [{ type: "text", text: "x" }] } },
          { type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "x" }] },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "", signature: "c2VhbA==" },
          { type: "redacted_thinking", data: "b3BhcXVl" },
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
          { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
          { type: "tool_use", id: "toolu_1", name: "f", input: { a: [1] }, caller: { type: "direct" } },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "toolu_1",
            is_error: true,
            content: [
              { type: "text", text: "no", ...cached },
              { type: "tool_reference", tool_name: "g" },
            ],
          },
          { type: "text", text: "And now?" },
        ],
      },
      { role: "system", content: [{ type: "text", text: "Stay brief." }] },
    ],
    tools: [
      { name: "f", description: "", input_schema: { type: "object" }, strict: true, defer_loading: true },
      { type: "web_search_20250305", name: "web_search", max_uses: 2 },
    ],
    tool_choice: { type: "tool", name: "f", disable_parallel_tool_use: true },
    temperature: 0.3,
    top_p: 0.9,
    top_k: 4,
    stop_sequences: ["END"],
    stream: true,
    metadata: { user_id: "u", more: 1 },
    thinking: { type: "enabled", budget_tokens: 2000, display: "omitted" },
    output_config: {
      effort: "max",
      format: { type: "json_schema", schema: { type: "object" } },
      task_budget: { total: 9 },
    },
    service_tier: "auto",
    container: "c",
  };

  it("is written as it was read, with everything that only Anthropic knows", () => {
    expect(again(body)).toEqual(body);
    expect(dialect.renderRequest(dialect.parseRequest(body)).dropped).toEqual([]);
  });

  it("names what stays behind for another dialect", () => {
    const { dropped } = openAiChat.renderRequest(dialect.parseRequest(body));
    for (const name of [
      "service_tier",
      "container",
      "top_k",
      "tools[1].web_search_20250305",
      "metadata",
      "messages[1].search_result",
      "messages[2].thinking",
      "messages[2].server_tool_use",
    ])
      expect(dropped.map((one) => one.replace(/\.content\[\d+\]/, ""))).toContain(name);
  });

  it.each([
    [{ model: "m", max_tokens: 1, messages: [] }, "messages"],
    [{ model: "m", messages: [{ role: "tool", content: "" }] }, "messages[0].role"],
    [{ model: "m", messages: [{ role: "user", content: [{ type: "text" }] }] }, "messages[0].content[0].text"],
    [
      { model: "m", messages: [{ role: "user", content: [{ type: "tool_use", name: "f" }] }] },
      "messages[0].content[0].id",
    ],
    [{ model: 1, messages: [{ role: "user", content: "" }] }, "model"],
    [{ model: "m", messages: [{ role: "user", content: "" }], tool_choice: { type: "x" } }, "tool_choice.type"],
    [{ model: "m", messages: [{ role: "user", content: "" }], max_tokens: 1.5 }, "max_tokens"],
  ])("that cannot be read is refused by the name of what is wrong: %j", (wrong, param) => {
    expect(() => dialect.parseRequest(wrong as JsonObject)).toThrow(
      expect.objectContaining({ reason: "invalid_request", param }),
    );
  });
});

describe("a request from elsewhere", () => {
  it("gets the cap that Anthropic wants: its own, or 4096 and the budget of its thinking", () => {
    expect(render({}).body.max_tokens).toBe(4096);
    expect(render({ maxOutputTokens: 9 }).body.max_tokens).toBe(9);
    expect(render({ reasoning: { effort: "medium" } }).body).toMatchObject({
      max_tokens: 4096 + 8192,
      thinking: { type: "enabled", budget_tokens: 8192 },
    });
    expect(render({ reasoning: { effort: "high" }, maxOutputTokens: 4000 }).body).toMatchObject({
      max_tokens: 4000,
      thinking: { type: "enabled", budget_tokens: 2000 },
    });
    expect(render({ reasoning: { effort: "high" }, maxOutputTokens: 100 })).toMatchObject({ dropped: ["reasoning"] });
  });

  it.each([
    ["claude-opus-4-6", { thinking: { type: "adaptive" }, output_config: { effort: "high" } }],
    ["anthropic.claude-fable-5-1", { thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } }],
    ["claude-sonnet-4-20250514", { thinking: { type: "enabled", budget_tokens: 32_768 } }],
    ["claude-3-7-sonnet-latest", { thinking: { type: "enabled", budget_tokens: 32_768 } }],
  ])("thinks as %s can", (model, expected) => {
    const { body } = render({ model, reasoning: { effort: "xhigh" } });
    expect({
      thinking: body.thinking,
      ...(body.output_config === undefined ? {} : { output_config: body.output_config }),
    }).toEqual(expected);
  });

  it("does not think where it must call a tool, nor where the model cannot", () => {
    const tools = [{ type: "function" as const, name: "f" }];
    const forced = render({ reasoning: { effort: "low" }, tools, toolChoice: { mode: "required" } });
    expect(forced.body.thinking).toBeUndefined();
    expect(forced.dropped).toEqual(["reasoning"]);
    expect(render({ model: "claude-3-5-haiku-latest", reasoning: { effort: "low" } }).dropped).toEqual(["reasoning"]);
    expect(render({ reasoning: { effort: "none" } }).body.thinking).toBeUndefined();
  });

  it("keeps of the sampling what the model takes", () => {
    expect(render({ temperature: 1.7 })).toMatchObject({ body: { temperature: 1 }, dropped: ["temperature"] });
    expect(render({ temperature: 0.2, topP: 1 })).toMatchObject({ body: { temperature: 0.2 }, dropped: [] });
    expect(render({ temperature: 0.2, topP: 0.5 })).toMatchObject({ body: { temperature: 0.2 }, dropped: ["top_p"] });
    const recent = render({ model: "claude-opus-5", temperature: 0.2, topK: 4 });
    expect(recent.dropped).toEqual(["temperature", "top_k"]);
    expect(recent.body).not.toHaveProperty("temperature");
    expect(render({ reasoning: { effort: "low" }, temperature: 0.2 }).dropped).toEqual(["temperature"]);
  });

  it("has turns as Anthropic wants them: merged, results first, nothing blank, no space at the end of a prefill", () => {
    const { body } = render({
      messages: [
        { role: "user", parts: [text("a"), text(" \n")] },
        { role: "user", parts: [text("b")] },
        {
          role: "assistant",
          parts: [
            { type: "tool-call", id: "call.1", name: "f", arguments: '{"a":' },
            { type: "tool-call", id: "", name: "f", arguments: "" },
          ],
        },
        { role: "user", parts: [text("c")] },
        { role: "tool", parts: [{ type: "tool-result", id: "call.1", parts: [text("r")] }] },
        { role: "assistant", parts: [] },
        { role: "assistant", parts: [text("The answer is ")] },
      ],
    });
    const messages = body.messages as {
      role: string;
      content: { type: string; text?: string; id?: string; input?: Json }[];
    }[];
    expect(messages.map((message) => message.role)).toEqual(["user", "assistant", "user", "assistant"]);
    expect(messages[0]?.content.map((block) => block.text)).toEqual(["a", "b"]);
    expect(messages[2]?.content.map((block) => block.type)).toEqual(["tool_result", "text"]);
    expect(messages[3]?.content[0]?.text).toBe("The answer is");
    const [one, two] = messages[1]?.content ?? [];
    expect(one?.input).toEqual({ INVALID_JSON: '{"a":' });
    expect(two?.input).toEqual({});
    for (const block of [one, two]) expect(block?.id).toMatch(/^[a-zA-Z0-9_-]+$/);
    expect(messages[2]?.content[0]).toMatchObject({ tool_use_id: one?.id });
  });

  it("keeps later instructions in their place where the model takes them, else joins them to the first", () => {
    const messages: ChatRequest["messages"] = [
      { role: "developer", parts: [text("one")] },
      { role: "user", parts: [text("q")] },
      { role: "system", parts: [text("two")] },
    ];
    expect(render({ messages, model: "claude-opus-4-8" })).toMatchObject({
      body: {
        system: "one",
        messages: [{ role: "user" }, { role: "system", content: [{ type: "text", text: "two" }] }],
      },
      dropped: [],
    });
    const old = render({ messages });
    expect(old.body.system).toEqual([
      { type: "text", text: "one" },
      { type: "text", text: "two" },
    ]);
    expect(old.dropped).toEqual(["messages[2].position"]);
    // Instructions alone are a question.
    expect(render({ messages: [{ role: "system", parts: [text("one")] }] }).body).toMatchObject({
      messages: [{ role: "user", content: [{ type: "text", text: "one" }] }],
    });
  });
});

describe("an answer of another dialect", () => {
  const body: JsonObject = {
    id: "msg_1",
    type: "message",
    content: [],
    stop_reason: "end_turn",
    model: "m",
    usage: {},
  };
  const response = dialect.parseResponse(body);
  const [choice] = response.choices;

  it.each([
    ["chatcmpl-1", "msg_1"],
    ["resp_1", "msg_1"],
    ["wX9", "msg_wX9"],
    ["msg_bdrk_1", "msg_bdrk_1"],
  ])("has its id %s as %s", (id, shown) => {
    expect(dialect.renderResponse({ ...response, id }, contextOf(anyRequest)).body.id).toBe(shown);
  });

  it("that failed half-way does not look whole", () => {
    if (choice === undefined) throw new Error("no choice");
    const failed = { ...response, choices: [{ ...choice, finishReason: "error" as const, extra: undefined }] };
    const { body: told, dropped } = dialect.renderResponse(failed, contextOf(anyRequest));
    expect([told.stop_reason, dropped]).toEqual(["refusal", ["finish_reason"]]);
  });
});

describe("usage", () => {
  it("is a total: what was read from and written to the cache included", () => {
    const usage = {
      input_tokens: 3,
      output_tokens: 33,
      cache_creation_input_tokens: 418,
      cache_read_input_tokens: 1111,
      cache_creation: { ephemeral_5m_input_tokens: 18, ephemeral_1h_input_tokens: 400 },
      output_tokens_details: { thinking_tokens: 7 },
    };
    const body: JsonObject = { id: "m", type: "message", content: [], stop_reason: "end_turn", model: "m", usage };
    const response = dialect.parseResponse(body);
    expect(response.usage).toEqual({
      inputTokens: 3 + 418 + 1111,
      outputTokens: 33,
      cachedInputTokens: 1111,
      cacheWriteTokens: 418,
      cacheWriteLongTokens: 400,
      reasoningTokens: 7,
      estimated: false,
    });
    expect(dialect.renderResponse(response, contextOf(anyRequest)).body.usage).toEqual(usage);
  });
});

const sse = (...events: JsonObject[]): Buffer =>
  Buffer.from(events.map((event) => `event: ${event.type as string}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
const start: JsonObject = {
  type: "message_start",
  message: {
    id: "m",
    model: "c",
    content: [],
    usage: { input_tokens: 10, output_tokens: 1, cache_read_input_tokens: 5 },
  },
};
const stop: JsonObject[] = [
  { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 9 } },
  { type: "message_stop" },
];
const block = (index: number, content: JsonObject, ...deltas: JsonObject[]): JsonObject[] => [
  { type: "content_block_start", index, content_block: content },
  ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
  { type: "content_block_stop", index },
];

describe("a stream", () => {
  it("keeps input that came with the start of a call, and gives {} to a call without any", () => {
    const events = parseBytes(
      dialect,
      sse(
        start,
        ...block(0, { type: "tool_use", id: "a", name: "f", input: { x: 1 } }),
        ...block(
          1,
          { type: "tool_use", id: "b", name: "f", input: {} },
          { type: "input_json_delta", partial_json: "" },
        ),
        { type: "ping" },
        { type: "something_new", data: 1 },
        ...stop,
      ),
      7,
    );
    const response = responseOf(events);
    expect(response.choices[0]?.parts).toMatchObject([{ arguments: '{"x":1}' }, { arguments: "{}" }]);
    // Counts that the end does not repeat stay.
    expect(response.usage).toMatchObject({ inputTokens: 15, cachedInputTokens: 5, outputTokens: 9 });
  });

  it("gives what only Anthropic knows whole, and writes all of it again", () => {
    const bytes = sse(
      start,
      ...block(
        0,
        { type: "thinking", thinking: "", signature: "" },
        { type: "thinking_delta", thinking: "hm" },
        { type: "signature_delta", signature: "c2VhbA==" },
      ),
      ...block(
        1,
        { type: "server_tool_use", id: "s", name: "web_search", input: {} },
        { type: "input_json_delta", partial_json: '{"q":' },
        { type: "input_json_delta", partial_json: '"x"}' },
      ),
      ...block(2, { type: "web_search_tool_result", tool_use_id: "s", content: [{ url: "u" }] }),
      ...block(
        3,
        { type: "text", text: "" },
        { type: "text_delta", text: "so" },
        { type: "citations_delta", citation: { url: "u" } },
      ),
      {
        type: "message_delta",
        delta: { stop_reason: "model_context_window_exceeded", container: { id: "c" } },
        usage: { output_tokens: 9, server_tool_use: { web_search_requests: 1 } },
      },
      { type: "message_stop" },
    );
    const events = parseBytes(dialect, bytes, 50);
    expect(responseOf(events).choices[0]).toMatchObject({
      parts: [
        { type: "thinking", text: "hm", signature: "c2VhbA==" },
        { type: "unknown", value: { type: "server_tool_use", input: { q: "x" } } },
        { type: "unknown", value: { type: "web_search_tool_result" } },
        { type: "text", text: "so" },
      ],
      finishReason: "length",
    });
    const renderer = dialect.streamRenderer(contextOf(anyRequest));
    const shown = events.map((event) => renderer.push(event)).join("");
    const { preface, terminal } = renderer.end();
    expect(terminal).toBe('event: message_stop\ndata: {"type":"message_stop"}\n\n');
    for (const kept of [
      "c2VhbA==",
      '{"q":"x"}',
      '"citations_delta"',
      "model_context_window_exceeded",
      '"container":{"id":"c"}',
      "web_search_requests",
    ])
      expect(shown + preface).toContain(kept);
    expect(renderer.dropped).toEqual([]);
  });

  it("ends in the provider's error", () => {
    const failing = sse(start, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } });
    expect(() => parseBytes(dialect, failing, 10)).toThrow(
      expect.objectContaining({ reason: "provider_overloaded", message: "Overloaded" }),
    );
    const watcher = dialect.streamWatcher({ hideUsage: false });
    const shown = watcher.push(failing);
    expect(watcher).toMatchObject({ started: false, done: true, failure: { code: "overloaded_error" } });
    const { terminal, error, usage } = watcher.end();
    expect(Buffer.concat([shown ?? Buffer.alloc(0), terminal])).toEqual(failing);
    expect(error?.reason).toBe("provider_overloaded");
    expect(usage?.inputTokens).toBe(15);
  });

  it("is watched by its data where a server leaves the event names out", () => {
    const bytes = Buffer.from(
      [start, ...block(0, { type: "text", text: "" }, { type: "text_delta", text: "four" }), ...stop]
        .map((event) => `data: ${JSON.stringify(event)}\r\n\r\n`)
        .join(""),
    );
    const watcher = dialect.streamWatcher({ hideUsage: false });
    watcher.push(bytes);
    expect(watcher.end()).toMatchObject({
      error: undefined,
      finishReason: "tool-calls",
      outputCharacters: 4,
      usage: { outputTokens: 9 },
    });
    expect(responseOf(parseBytes(dialect, bytes, 9)).choices[0]?.parts).toMatchObject([{ text: "four" }]);
  });
});

describe("an error", () => {
  const headers = (given: Record<string, string>) => (name: string) => given[name];
  it.each([
    [429, "rate_limit_error", "slow", "provider_rate_limited"],
    [429, "rate_limit_error", "enforced_spend_limit reached", "provider_quota"],
    [529, "overloaded_error", "busy", "provider_overloaded"],
    [401, "authentication_error", "invalid x-api-key sk-ant-1234", "provider_auth"],
    [403, "permission_error", "no", "provider_auth"],
    [400, "invalid_request_error", "Your credit balance is too low to access the API.", "provider_quota"],
    [400, "invalid_request_error", "max_tokens: too large", "provider_rejected"],
    [402, "billing_error", "pay", "provider_quota"],
    [404, "not_found_error", "model: x", "provider_rejected"],
    [413, "request_too_large", "large", "provider_rejected"],
    [500, "api_error", "oops", "provider_error"],
    [504, "timeout_error", "slow", "provider_timeout"],
  ])("%i %s (%s) is %s", (status, type, message, reason) => {
    const body: JsonObject = { type: "error", error: { type, message }, request_id: "r" };
    const failure = dialect.parseError(status, body, headers({ "retry-after": "7" }));
    expect(failure).toMatchObject({ code: type, error: { reason, retryAfterMs: 7000, upstreamStatus: status } });
    expect(failure.error.message.includes("sk-ant")).toBe(false);
  });

  it("without a body is one, too", () => {
    expect(dialect.parseError(529, undefined, headers({})).error.reason).toBe("provider_overloaded");
  });
});
