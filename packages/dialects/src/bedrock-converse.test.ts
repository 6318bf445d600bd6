import { describe, expect, it } from "vitest";
import { answerEssence, eventsThrough, names, responseOf, responseThrough } from "../test/translation-kit.ts";
import { encodeAwsEvent } from "./aws-event-stream.ts";
import { bedrockConverse } from "./bedrock-converse.ts";
import type { ChatEvent, ChatRequest, JsonObject, Part } from "./core.ts";
import { dialects } from "./dialects.ts";

const CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ask = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: CLAUDE,
  messages: [{ role: "user", parts: [{ type: "text", text: "Hello" }] }],
  stream: false,
  ...more,
});
const render = (request: ChatRequest) => bedrockConverse.renderRequest(request);
const chat = (body: JsonObject): ChatRequest => dialects["openai-chat"].parseRequest({ model: CLAUDE, ...body });
const messages = (body: JsonObject): ChatRequest =>
  dialects["anthropic-messages"].parseRequest({ model: CLAUDE, max_tokens: 5000, ...body });

function stream(events: readonly (readonly [name: string, data: JsonObject])[], cut = 11): ChatEvent[] {
  const frames = bedrockConverse.frames?.();
  if (frames === undefined) throw new Error("its streams are no server-sent events");
  const parser = bedrockConverse.streamParser({ model: CLAUDE });
  const read: ChatEvent[] = [];
  const bytes = Buffer.concat(events.map(([event, data]) => encodeAwsEvent({ event, data: JSON.stringify(data) })));
  for (let at = 0; at < bytes.length; at += cut)
    for (const event of frames.push(bytes.subarray(at, at + cut))) read.push(...parser.push(event));
  for (const event of frames.end()) read.push(...parser.push(event));
  return [...read, ...parser.end()];
}

describe("a Converse request", () => {
  it("holds turns, instructions, sampling, tools and stop sequences in Bedrock's words", () => {
    const request = chat({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Weather in Bern?" },
        {
          role: "assistant",
          content: "Looking.",
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"city":"Bern"}' } },
            { id: "call_2", type: "function", function: { name: "get_weather", arguments: "" } },
          ],
        },
        { role: "tool", tool_call_id: "call_1", content: "3" },
        { role: "tool", tool_call_id: "call_2", content: "no city" },
        { role: "user", content: "And?" },
      ],
      tools: [
        { type: "function", function: { name: "get_weather", description: "d", parameters: { type: "object" } } },
      ],
      tool_choice: "required",
      max_tokens: 99,
      temperature: 0.5,
      stop: "END",
    });
    expect(render(request)).toEqual({
      dropped: [],
      body: {
        system: [{ text: "Be brief." }],
        messages: [
          { role: "user", content: [{ text: "Weather in Bern?" }] },
          {
            role: "assistant",
            content: [
              { text: "Looking." },
              { toolUse: { toolUseId: "call_1", name: "get_weather", input: { city: "Bern" } } },
              { toolUse: { toolUseId: "call_2", name: "get_weather", input: {} } },
            ],
          },
          {
            role: "user",
            content: [
              { toolResult: { toolUseId: "call_1", content: [{ text: "3" }] } },
              { toolResult: { toolUseId: "call_2", content: [{ text: "no city" }] } },
              { text: "And?" },
            ],
          },
        ],
        toolConfig: {
          tools: [{ toolSpec: { name: "get_weather", description: "d", inputSchema: { json: { type: "object" } } } }],
          toolChoice: { any: {} },
        },
        inferenceConfig: { stopSequences: ["END"], maxTokens: 99, temperature: 0.5 },
      },
    });
  });

  it("carries pictures and documents as bytes, and names what it cannot fetch", () => {
    const { body, dropped } = render(
      chat({
        messages: [
          {
            role: "user",
            content: [
              { type: "image_url", image_url: { url: "data:image/jpeg;base64,/9j/AA==" } },
              { type: "image_url", image_url: { url: "https://example.com/a.png" } },
              {
                type: "file",
                file: { filename: "r\u00e9sum\u00e9 v1.2.pdf", file_data: "data:application/pdf;base64,JVBERi0=" },
              },
              {
                type: "file",
                file: { filename: "r\u00e9sum\u00e9 v1_2.pdf", file_data: "data:application/pdf;base64,JVBERi0=" },
              },
            ],
          },
        ],
      }),
    );
    expect(body["messages"]).toEqual([
      {
        role: "user",
        content: [
          { image: { format: "jpeg", source: { bytes: "/9j/AA==" } } },
          { document: { format: "pdf", name: "résumé v1 2 pdf", source: { bytes: "JVBERi0=" } } },
          { document: { format: "pdf", name: "résumé v1 2 pdf 2", source: { bytes: "JVBERi0=" } } },
          { text: "résumé v1 2 pdf" },
        ],
      },
    ]);
    expect(dropped).toEqual(["messages[0].image"]);
  });

  it("marks what is to be cached, for models that know it", () => {
    const request = messages({
      system: [{ type: "text", text: "Long.", cache_control: { type: "ephemeral", ttl: "1h" } }],
      tools: [{ name: "t", input_schema: { type: "object" }, cache_control: { type: "ephemeral" } }],
      messages: [{ role: "user", content: [{ type: "text", text: "Hi", cache_control: { type: "ephemeral" } }] }],
    });
    const { body, dropped } = render(request);
    expect(dropped).toEqual([]);
    expect(body).toMatchObject({
      system: [{ text: "Long." }, { cachePoint: { type: "default", ttl: "1h" } }],
      messages: [{ role: "user", content: [{ text: "Hi" }, { cachePoint: { type: "default" } }] }],
      toolConfig: { tools: [{ toolSpec: { name: "t" } }, { cachePoint: { type: "default" } }] },
    });
    const llama = render({ ...request, model: "meta.llama3-3-70b-instruct-v1:0" });
    expect(JSON.stringify(llama.body)).not.toContain("cachePoint");
    expect(llama.dropped).toEqual(["messages[0].cache_control", "messages[1].cache_control", "tools[0].cache_control"]);
  });

  it("asks Claude to think in Anthropic's words, and brings its sealed thoughts back to it only", () => {
    const request = messages({
      thinking: { type: "enabled", budget_tokens: 2000 },
      messages: [
        { role: "user", content: "Go." },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Hm.", signature: "c2VhbA==" },
            { type: "redacted_thinking", data: "RXpj" },
            { type: "tool_use", id: "toolu_1", name: "t", input: {} },
          ],
        },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "3", is_error: true }] },
      ],
      tools: [{ name: "t", input_schema: { type: "object" } }],
    });
    const { body, dropped } = render(request);
    expect(dropped).toEqual([]);
    expect(body).toMatchObject({
      inferenceConfig: { maxTokens: 5000 },
      additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2000 } },
      messages: [
        { role: "user" },
        {
          role: "assistant",
          content: [
            { reasoningContent: { reasoningText: { text: "Hm.", signature: "c2VhbA==" } } },
            { reasoningContent: { redactedContent: btoa("RXpj") } },
            { toolUse: { toolUseId: "toolu_1" } },
          ],
        },
        { role: "user", content: [{ toolResult: { toolUseId: "toolu_1", status: "error" } }] },
      ],
    });
    const nova = render({ ...request, model: "amazon.nova-2-lite-v1:0", reasoning: { effort: "low" } });
    expect(JSON.stringify(nova.body)).not.toContain("c2VhbA==");
    expect(nova.body["additionalModelRequestFields"]).toEqual({
      reasoningConfig: { type: "enabled", maxReasoningEffort: "low" },
    });
    expect(nova.dropped).toEqual(["messages[1].thinking", "messages[1].thinking"]);
  });

  it("takes members of Converse's own from any client, and asks for a schema", () => {
    const { body, dropped } = render(
      chat({
        messages: [{ role: "user", content: "x" }],
        guardrailConfig: { guardrailIdentifier: "g", guardrailVersion: "1" },
        additionalModelRequestFields: { a: 1 },
        store: true,
        top_k: 5,
        response_format: { type: "json_schema", json_schema: { name: "City", schema: { type: "object" } } },
      }),
    );
    expect(body).toMatchObject({
      guardrailConfig: { guardrailIdentifier: "g" },
      additionalModelRequestFields: { a: 1, top_k: 5 },
      outputConfig: {
        textFormat: { type: "json_schema", structure: { jsonSchema: { name: "City", schema: '{"type":"object"}' } } },
      },
    });
    expect(dropped).toEqual(["store"]);
  });

  it("names the tools of a conversation that used some, which Converse wants", () => {
    const used: Part[] = [{ type: "tool-call", id: "a b", name: "old", arguments: "{}" }];
    const answered: Part[] = [{ type: "tool-result", id: "a b", parts: [{ type: "text", text: "ok" }] }];
    const { body } = render(
      ask({
        toolChoice: { mode: "none" },
        messages: [
          { role: "user", parts: [{ type: "text", text: "x" }] },
          { role: "assistant", parts: used },
          { role: "tool", parts: answered },
        ],
      }),
    );
    expect(body["toolConfig"]).toEqual({
      tools: [{ toolSpec: { name: "old", inputSchema: { json: { type: "object", properties: {} } } } }],
    });
    const [, called, back] = body["messages"] as JsonObject[];
    const id = (called as { content: [{ toolUse: { toolUseId: string } }] }).content[0].toolUse.toolUseId;
    expect(id).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
    expect(back).toMatchObject({ content: [{ toolResult: { toolUseId: id } }] });
    const none = render(ask({ tools: [{ type: "function", name: "t" }], toolChoice: { mode: "none" } }));
    expect(none.body["toolConfig"]).toBeUndefined();
  });
});

const usage = { inputTokens: 10, outputTokens: 5, totalTokens: 37, cacheReadInputTokens: 20, cacheWriteInputTokens: 2 };
const EVENTS: [string, JsonObject][] = [
  ["messageStart", { role: "assistant", p: "abc" }],
  ["contentBlockDelta", { contentBlockIndex: 0, delta: { reasoningContent: { text: "Let me " } } }],
  ["contentBlockDelta", { contentBlockIndex: 0, delta: { reasoningContent: { text: "see." } } }],
  ["contentBlockDelta", { contentBlockIndex: 0, delta: { reasoningContent: { signature: "c2VhbA==" } } }],
  ["contentBlockStop", { contentBlockIndex: 0 }],
  ["contentBlockDelta", { contentBlockIndex: 1, delta: { text: "Loo" } }],
  ["contentBlockDelta", { contentBlockIndex: 1, delta: { text: "king." } }],
  ["contentBlockStop", { contentBlockIndex: 1 }],
  ["contentBlockStart", { contentBlockIndex: 2, start: { toolUse: { toolUseId: "tooluse_1", name: "get_weather" } } }],
  ["contentBlockDelta", { contentBlockIndex: 2, delta: { toolUse: { input: '{"ci' } } }],
  ["contentBlockDelta", { contentBlockIndex: 2, delta: { toolUse: { input: 'ty":"Bern"}' } } }],
  ["contentBlockStop", { contentBlockIndex: 2 }],
  ["contentBlockStart", { contentBlockIndex: 3, start: { toolUse: { toolUseId: "tooluse_2", name: "ping" } } }],
  ["contentBlockStop", { contentBlockIndex: 3 }],
  ["messageStop", { stopReason: "tool_use" }],
  ["metadata", { usage: { ...usage, cacheDetails: [{ ttl: "1h", inputTokens: 2 }] }, metrics: { latencyMs: 3 } }],
];
const WHOLE: JsonObject = {
  output: {
    message: {
      role: "assistant",
      content: [
        { reasoningContent: { reasoningText: { text: "Let me see.", signature: "c2VhbA==" } } },
        { text: "Looking." },
        { toolUse: { toolUseId: "tooluse_1", name: "get_weather", input: { city: "Bern" } } },
        { toolUse: { toolUseId: "tooluse_2", name: "ping", input: {} } },
      ],
    },
  },
  stopReason: "tool_use",
  usage: { ...usage, cacheDetails: [{ ttl: "1h", inputTokens: 2 }] },
  metrics: { latencyMs: 3 },
};
const COUNTED = {
  inputTokens: 32,
  outputTokens: 5,
  cachedInputTokens: 20,
  cacheWriteTokens: 2,
  cacheWriteLongTokens: 2,
  reasoningTokens: 0,
  estimated: false,
};

describe("a Converse answer", () => {
  it("says the same whole and streamed", () => {
    const whole = bedrockConverse.parseResponse(WHOLE, { model: CLAUDE });
    for (const cut of [1, 11, 100_000]) {
      const streamed = responseOf(stream(EVENTS, cut));
      expect(answerEssence(streamed)).toEqual(answerEssence(whole));
      expect(streamed.usage).toEqual(COUNTED);
      expect(streamed.model).toBe(CLAUDE);
    }
    expect(whole.usage).toEqual(COUNTED);
    expect(whole.model).toBe(CLAUDE);
    expect(whole.choices[0]?.parts[0]).toMatchObject({ type: "thinking", signature: "c2VhbA==" });
  });

  it.each(names)("is told whole and streamed in %s", (name) => {
    const whole = bedrockConverse.parseResponse(WHOLE, { model: CLAUDE });
    expect(answerEssence(responseThrough(dialects[name], whole).value)).toEqual(answerEssence(whole));
    const streamed = eventsThrough(dialects[name], stream(EVENTS), 9).value;
    expect(answerEssence(responseOf(streamed))).toEqual(answerEssence(whole));
  });

  it("keeps Claude's seals for clients that bring them back", () => {
    const { body } = dialects["anthropic-messages"].renderResponse(bedrockConverse.parseResponse(WHOLE), {
      request: ask(),
      requestId: "r",
      nowS: 1,
    });
    expect(body["content"]).toMatchObject([
      { type: "thinking", thinking: "Let me see.", signature: "c2VhbA==" },
      {},
      {},
      {},
    ]);
    const redacted = bedrockConverse.parseResponse({
      output: { message: { content: [{ reasoningContent: { redactedContent: btoa("RXpj") } }] } },
    });
    expect(redacted.choices[0]?.parts).toMatchObject([{ type: "thinking", redacted: "RXpj" }]);
  });

  it.each([
    ["end_turn", "stop"],
    ["stop_sequence", "stop"],
    ["max_tokens", "length"],
    ["model_context_window_exceeded", "length"],
    ["guardrail_intervened", "content-filter"],
    ["content_filtered", "content-filter"],
    ["malformed_tool_use", "error"],
  ])("that stopped for %s finished by %s", (stopReason, finish) => {
    const whole = { output: { message: { content: [{ text: "x" }] } }, stopReason };
    expect(bedrockConverse.parseResponse(whole).choices[0]?.finishReason).toBe(finish);
    const events = stream([
      ["messageStart", {}],
      ["messageStop", { stopReason }],
      ["metadata", { usage }],
    ]);
    expect(events).toContainEqual(expect.objectContaining({ type: "finish", reason: finish }));
  });

  it("whose provider called tools of its own says nothing of them as calls", () => {
    const called = { toolUseId: "tooluse_1", name: "nova_code_interpreter", type: "server_tool_use" };
    const whole = bedrockConverse.parseResponse({
      output: {
        message: {
          content: [
            { toolUse: { ...called, input: { snippet: "1+1" } } },
            { toolResult: { toolUseId: "tooluse_1", type: "nova_code_interpreter_result", content: [{ json: {} }] } },
            { text: "2" },
          ],
        },
      },
      stopReason: "end_turn",
    });
    const streamed = stream([
      ["messageStart", {}],
      ["contentBlockStart", { contentBlockIndex: 0, start: { toolUse: called } }],
      ["contentBlockDelta", { contentBlockIndex: 0, delta: { toolUse: { input: '{"snippet":"1+1"}' } } }],
      ["contentBlockStop", { contentBlockIndex: 0 }],
      ["contentBlockStart", { contentBlockIndex: 1, start: { toolResult: { toolUseId: "tooluse_1" } } }],
      ["contentBlockDelta", { contentBlockIndex: 1, delta: { toolResult: [{ json: {} }] } }],
      ["contentBlockStop", { contentBlockIndex: 1 }],
      ["contentBlockDelta", { contentBlockIndex: 2, delta: { text: "2" } }],
      ["messageStop", { stopReason: "end_turn" }],
      ["metadata", {}],
    ]);
    for (const answer of [whole, responseOf(streamed)]) {
      expect(answerEssence(answer)).toMatchObject({ text: "2", calls: [], finish: "stop" });
      expect(answer.choices[0]?.parts.map(({ type }) => type)).toEqual(["unknown", "unknown", "text"]);
    }
  });

  it("that is none is refused", () => {
    expect(() => bedrockConverse.parseResponse({})).toThrow("output");
    expect(() => bedrockConverse.parseResponse({ output: { message: { content: [{ toolUse: {} }] } } })).toThrow(
      "toolUseId",
    );
    expect(() =>
      stream([
        ["messageStart", {}],
        ["contentBlockDelta", { delta: { toolUse: { input: "{" } } }],
      ]),
    ).toThrow("contentBlockStart");
  });
});

describe("a Converse stream that breaks", () => {
  it("off, at whatever event, is interrupted until it has stopped", () => {
    for (let kept = 0; kept < EVENTS.length; kept += 1) {
      const cut = (): unknown => stream(EVENTS.slice(0, kept));
      if (kept === EVENTS.length - 1) expect(cut).not.toThrow();
      else expect(cut).toThrow("ended too early");
    }
  });

  it.each([
    ["throttlingException", "provider_rate_limited"],
    ["modelStreamErrorException", "provider_error"],
    ["internalServerException", "provider_error"],
    ["serviceUnavailableException", "provider_overloaded"],
    ["validationException", "provider_rejected"],
    ["modelTimeoutException", "provider_timeout"],
    ["somethingNewException", "provider_error"],
  ])("by %s fails as %s, in its words", (name, reason) => {
    const failing = (): unknown => stream([...EVENTS.slice(0, 3), [`exception:${name}`, { message: "it said so" }]]);
    expect(failing).toThrow(expect.objectContaining({ reason, message: "it said so" }));
  });
});

describe("an error of Bedrock", () => {
  it.each([
    [
      429,
      "ThrottlingException",
      "Too many tokens, please wait before trying again.",
      "provider_rate_limited",
      "ThrottlingException",
    ],
    [
      429,
      "ThrottlingException",
      "Too many tokens per day, please wait before trying again.",
      "provider_quota",
      "ThrottlingException",
    ],
    [400, "ServiceQuotaExceededException", "exceeded", "provider_quota", "ServiceQuotaExceededException"],
    [503, "ServiceUnavailableException", "busy", "provider_overloaded", "ServiceUnavailableException"],
    [429, "ModelNotReadyException", "loading", "provider_overloaded", "ModelNotReadyException"],
    [408, "ModelTimeoutException", "slow", "provider_timeout", "ModelTimeoutException"],
    [424, "ModelErrorException", "broke", "provider_error", "ModelErrorException"],
    [500, "InternalServerException", "broke", "provider_error", "InternalServerException"],
    [
      403,
      "AccessDeniedException",
      "arn:aws:iam::123456789012:user/x is not allowed",
      "provider_auth",
      "AccessDeniedException",
    ],
    [
      400,
      "ValidationException",
      "Input is too long for requested model.",
      "provider_rejected",
      "context_length_exceeded",
    ],
    [400, "ValidationException", "The text field is blank", "provider_rejected", "ValidationException"],
    [404, "ResourceNotFoundException", "no such model", "provider_rejected", "ResourceNotFoundException"],
    [403, "", "Forbidden", "provider_auth", undefined],
    [502, "", "", "provider_error", undefined],
  ])("%i %s %s is %s", (status, type, message, reason, code) => {
    const headers = (name: string) =>
      name === "x-amzn-errortype" && type !== "" ? `${type}:http://internal.amazon.com/coral/` : undefined;
    const failure = bedrockConverse.parseError(status, { message }, headers);
    expect([failure.error.reason, failure.code]).toEqual([reason, code]);
    expect(failure.error.message).not.toContain("arn:");
    const named = bedrockConverse.parseError(status, { __type: `com.amazon.coral#${type}`, message }, () => undefined);
    expect(named.error.reason).toBe(reason);
  });
});
