import { describe, expect, it } from "vitest";
import { anthropicMessages } from "./anthropic-messages.ts";
import type { JsonObject } from "./core.ts";
import type { Dialect } from "./dialect.ts";
import { geminiGenerate } from "./gemini-generate.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";

const none = { webSearches: 0, previewSearches: 0, fileSearches: 0, codeSessions: 0, others: 0 };

const response = (output: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  id: "resp_1",
  object: "response",
  status: "completed",
  model: "gpt-5",
  created_at: 1,
  output: [...output, { type: "message", role: "assistant", content: [{ type: "output_text", text: "ok" }] }],
  usage: { input_tokens: 10, output_tokens: 5 },
  ...more,
});
const search = { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "x" } };

const whole: readonly [name: string, dialect: Dialect, body: JsonObject, expected: object | undefined][] = [
  ["a response without tools", openAiResponses, response([]), undefined],
  [
    "searches, but not the opening of pages",
    openAiResponses,
    response([search, search, { ...search, action: { type: "open_page", url: "u" } }]),
    { ...none, webSearches: 2 },
  ],
  [
    "searches at the preview's price",
    openAiResponses,
    response([search], { tools: [{ type: "web_search_preview_2025_03_11" }] }),
    { ...none, previewSearches: 1 },
  ],
  [
    "a container once, by its memory",
    openAiResponses,
    response(
      [
        { type: "code_interpreter_call", container_id: "c1", code: "1" },
        { type: "code_interpreter_call", container_id: "c1", code: "2" },
        { type: "file_search_call", id: "fs", queries: [] },
      ],
      { tools: [{ type: "code_interpreter", container: { type: "auto", memory_limit: "4g" } }] },
    ),
    { ...none, codeSessions: 4, fileSearches: 1 },
  ],
  [
    "no container for a shell at the caller's",
    openAiResponses,
    response([{ type: "shell_call", call_id: "c", environment: { type: "local" } }]),
    undefined,
  ],
  [
    "Anthropic's searches, and code that its usage does not tell of",
    anthropicMessages,
    {
      type: "message",
      role: "assistant",
      content: [
        { type: "server_tool_use", id: "s", name: "bash_code_execution", input: {} },
        { type: "text", text: "ok" },
      ],
      stop_reason: "end_turn",
      usage: { input_tokens: 3, output_tokens: 2, server_tool_use: { web_search_requests: 3, web_fetch_requests: 9 } },
    },
    { ...none, webSearches: 3, codeSessions: 1 },
  ],
  [
    "Gemini's queries that differ, and its maps",
    geminiGenerate,
    {
      candidates: [
        {
          content: { role: "model", parts: [{ text: "ok" }] },
          finishReason: "STOP",
          groundingMetadata: {
            webSearchQueries: ["a", "", "b", "a"],
            groundingChunks: [{ web: { uri: "u" } }, { maps: { uri: "m" } }],
          },
        },
      ],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    },
    { ...none, webSearches: 2, others: 1 },
  ],
  [
    "what Groq executed",
    openAiChat,
    {
      choices: [
        {
          index: 0,
          finish_reason: "stop",
          message: {
            role: "assistant",
            content: "ok",
            executed_tools: [
              { index: 0, type: "search" },
              { index: 1, type: "python" },
              { index: 2, type: "visit" },
            ],
          },
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    },
    { ...none, webSearches: 1, codeSessions: 1, others: 1 },
  ],
];

describe("calls of a provider's own tools, of a whole answer", () => {
  it.each(whole)("%s", (_name, dialect, body, expected) => {
    expect(dialect.inspectResponse(body).usage?.toolCalls).toEqual(expected);
    expect(dialect.parseResponse(body).usage?.toolCalls).toEqual(expected);
  });
});

const sse = (events: readonly (readonly [type: string, body: JsonObject])[]): Uint8Array =>
  new TextEncoder().encode(
    events
      .map(
        ([type, body]) =>
          `${type === "" ? "" : `event: ${type}\n`}data: ${JSON.stringify({ ...(type === "" ? {} : { type }), ...body })}\n\n`,
      )
      .join(""),
  );

describe("calls of a provider's own tools, of a stream", () => {
  const watch = (dialect: Dialect, bytes: Uint8Array) => {
    const watcher = dialect.streamWatcher({ hideUsage: false });
    watcher.push(bytes);
    return watcher.end();
  };

  it("are those of its end, and what began where it is cut", () => {
    const begun = [
      ["response.created", { response: response([]) }],
      ["response.web_search_call.in_progress", { output_index: 0, item_id: "ws_1" }],
      ["response.web_search_call.completed", { output_index: 0, item_id: "ws_1" }],
    ] as const;
    const cut = watch(openAiResponses, sse(begun));
    expect(cut.usage).toBeUndefined();
    expect(cut.toolCalls).toEqual({ ...none, webSearches: 1 });
    const done = watch(
      openAiResponses,
      sse([...begun, ["response.completed", { response: response([search, search]) }]]),
    );
    expect(done.usage?.toolCalls).toEqual({ ...none, webSearches: 2 });
  });

  it("are told by Anthropic at the end, and by its blocks before", () => {
    const begun = [
      ["message_start", { message: { usage: { input_tokens: 5, output_tokens: 1 } } }],
      [
        "content_block_start",
        { index: 0, content_block: { type: "server_tool_use", id: "s", name: "web_search", input: {} } },
      ],
    ] as const;
    expect(watch(anthropicMessages, sse(begun)).usage?.toolCalls).toEqual({ ...none, webSearches: 1 });
    const usage = { output_tokens: 9, server_tool_use: { web_search_requests: 2 } };
    const end = [
      ["message_delta", { delta: { stop_reason: "end_turn" }, usage }],
      ["message_stop", {}],
    ] as const;
    expect(watch(anthropicMessages, sse([...begun, ...end])).usage?.toolCalls).toEqual({ ...none, webSearches: 2 });
  });

  it("are gathered over Gemini's chunks", () => {
    const chunk = (text: string, queries: string[], finish?: string): readonly [string, JsonObject] => [
      "",
      {
        candidates: [
          {
            content: { role: "model", parts: [{ text }] },
            groundingMetadata: { webSearchQueries: queries },
            ...(finish === undefined ? {} : { finishReason: finish }),
          },
        ],
        usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
      },
    ];
    const bytes = sse([chunk("a", ["x"]), chunk("b", ["x", "y"]), chunk("c", [], "STOP")]);
    expect(watch(geminiGenerate, bytes).usage?.toolCalls).toEqual({ ...none, webSearches: 2 });
  });

  it("count once where Groq tells them again", () => {
    const tool = { index: 0, type: "search", arguments: "{}" };
    const chunk = (delta: JsonObject, more: JsonObject = {}): readonly [string, JsonObject] => [
      "",
      { choices: [{ index: 0, delta, finish_reason: null }], ...more },
    ];
    const bytes = sse([
      chunk({ content: "a" }),
      chunk({ executed_tools: [tool] }),
      chunk({ executed_tools: [{ ...tool, output: "o" }] }),
      chunk({}, { usage: { prompt_tokens: 1, completion_tokens: 1 } }),
    ]);
    expect(watch(openAiChat, bytes).usage?.toolCalls).toEqual({ ...none, webSearches: 1 });
  });
});

describe("the rates that an answer is billed at", () => {
  it("are those of batches where it says flex", () => {
    expect(openAiResponses.inspectResponse(response([], { service_tier: "flex" })).usage?.batch).toBe(true);
    expect(openAiResponses.inspectResponse(response([], { service_tier: "default" })).usage?.batch).toBeUndefined();
  });

  it("part pictures from text", () => {
    const body = {
      candidates: [{ content: { parts: [{ text: "" }] }, finishReason: "STOP" }],
      usageMetadata: {
        promptTokenCount: 300,
        candidatesTokenCount: 1300,
        promptTokensDetails: [{ modality: "IMAGE", tokenCount: 258 }],
        candidatesTokensDetails: [{ modality: "IMAGE", tokenCount: 1290 }],
      },
    };
    expect(geminiGenerate.inspectResponse(body).usage).toMatchObject({
      imageInputTokens: 258,
      imageOutputTokens: 1290,
    });
  });
});
