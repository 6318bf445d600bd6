/** https://platform.claude.com/docs/en/api/messages, and its pages on streaming, tools and errors. */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const make = making("anthropic-messages", "anthropic", {
  max_tokens: 1024,
  messages: [{ role: "user", content: [{ type: "text", text: "hello", cache_control: { type: "ephemeral" } }] }],
});

const USAGE = {
  input_tokens: 20,
  cache_creation_input_tokens: 300,
  cache_read_input_tokens: 1000,
  cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
  output_tokens: 55,
  output_tokens_details: { thinking_tokens: 21 },
  service_tier: "standard",
};
const whole = (content: readonly object[], stop_reason = "end_turn", more: object = {}) => ({
  id: "msg_01A",
  type: "message",
  role: "assistant",
  model: "claude-sonnet-4-5-20250929",
  content,
  stop_reason,
  stop_sequence: null,
  usage: USAGE,
  ...more,
});

const start = {
  type: "message_start",
  message: { ...whole([]), stop_reason: null, usage: { ...USAGE, output_tokens: 1 } },
};
const ping = { type: "ping" };
const open = (index: number, content_block: object) => ({ type: "content_block_start", index, content_block });
const delta = (index: number, type: string, member: string, value: unknown) => ({
  type: "content_block_delta",
  index,
  delta: { type, [member]: value },
});
const says = (index: number, text: string) => delta(index, "text_delta", "text", text);
const thinks = (index: number, text: string) => delta(index, "thinking_delta", "thinking", text);
const json = (index: number, text: string) => delta(index, "input_json_delta", "partial_json", text);
const close = (index: number) => ({ type: "content_block_stop", index });
const stop = (stop_reason: string, more: object = {}, usage: object = USAGE) => ({
  type: "message_delta",
  delta: { stop_reason, stop_sequence: null, ...more },
  usage,
});
const end = { type: "message_stop" };
const text = { type: "text", text: "" };
const thinking = { type: "thinking", thinking: "", signature: "" };
const use = (id: string, name: string, input: object = {}) => ({ type: "tool_use", id, name, input });

const refused = (status: number, type: string, message: string, more: object = {}) => ({
  status,
  answer: { type: "error", error: { type, message, ...more }, request_id: "req_011" },
});

const SEARCH = [
  { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } },
  {
    type: "web_search_tool_result",
    tool_use_id: "srvtoolu_1",
    content: [
      { type: "web_search_result", title: "a", url: "https://a.example", encrypted_content: "Eq==", page_age: null },
    ],
  },
];
const CITATION = {
  type: "web_search_result_location",
  cited_text: "It will rain",
  url: "https://a.example",
  title: "a",
  encrypted_index: "Eo8=",
};

export const anthropic: readonly Exchange[] = [
  make("sealed thinking, hidden thinking, parallel calls", {
    answer: whole(
      [
        { type: "thinking", thinking: "Let me see.\n", signature: "EusB+/=" },
        { type: "redacted_thinking", data: "EmwKAhgB" },
        { type: "text", text: "I look it up." },
        {
          ...use("toolu_1", "get_weather", { city: "Zürich", nested: { a: [1, null, true] } }),
          caller: { type: "direct" },
        },
        use("toolu_2", "now"),
      ],
      "tool_use",
    ),
  }),
  make("sealed thinking, hidden thinking, parallel calls, streamed", {
    answer: [
      start,
      open(0, thinking),
      ping,
      thinks(0, "Let me"),
      thinks(0, ' see.\n"ü"'),
      delta(0, "signature_delta", "signature", "EusB+/="),
      close(0),
      open(1, { type: "redacted_thinking", data: "EmwKAhgB" }),
      close(1),
      open(2, text),
      says(2, "I look it"),
      says(2, " up 🔎."),
      close(2),
      open(3, use("toolu_1", "get_weather")),
      json(3, ""),
      json(3, '{"city": "Zü'),
      json(3, 'rich", "a": [1,'),
      json(3, " null]}"),
      close(3),
      open(4, use("toolu_2", "now")),
      json(4, ""),
      close(4),
      open(5, use("toolu_3", "whole", { a: 1 })),
      close(5),
      stop("tool_use"),
      end,
    ],
  }),
  make("citations of a web search", {
    request: { tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 3 }] },
    answer: whole(
      [
        { type: "text", text: "I search. " },
        ...SEARCH,
        { type: "text", text: "It will rain", citations: [CITATION] },
        { type: "text", text: ", they say." },
      ],
      "end_turn",
      { usage: { ...USAGE, server_tool_use: { web_search_requests: 1, web_fetch_requests: 0 } } },
    ),
  }),
  make("a search that failed", {
    answer: whole([
      SEARCH[0] ?? {},
      {
        type: "web_search_tool_result",
        tool_use_id: "srvtoolu_1",
        content: { type: "web_search_tool_result_error", error_code: "max_uses_exceeded" },
      },
      { type: "text", text: "I could not." },
    ]),
  }),
  make("citations of documents", {
    answer: whole([
      {
        type: "text",
        text: "the grass is green",
        citations: [
          {
            type: "char_location",
            cited_text: "The grass is green.",
            document_index: 0,
            document_title: null,
            start_char_index: 0,
            end_char_index: 20,
            file_id: null,
          },
          {
            type: "page_location",
            cited_text: "x",
            document_index: 1,
            document_title: "b",
            start_page_number: 1,
            end_page_number: 2,
            file_id: null,
          },
        ],
      },
    ]),
  }),
  make("citations, streamed", {
    answer: [
      start,
      open(0, { type: "text", text: "", citations: [] }),
      delta(0, "citations_delta", "citation", CITATION),
      says(0, "It will rain"),
      close(0),
      stop("end_turn"),
      end,
    ],
  }),
  make("MCP", {
    request: { mcp_servers: [{ type: "url", url: "https://mcp.example", name: "wiki" }] },
    answer: whole([
      { type: "mcp_tool_use", id: "mcptoolu_1", name: "ask", server_name: "wiki", input: { q: "?" } },
      {
        type: "mcp_tool_result",
        tool_use_id: "mcptoolu_1",
        is_error: false,
        content: [{ type: "text", text: "from the tool" }],
      },
      { type: "text", text: "They say so." },
    ]),
  }),
  make("MCP and code, streamed", {
    answer: [
      start,
      open(0, { type: "mcp_tool_use", id: "mcptoolu_1", name: "ask", server_name: "wiki", input: {} }),
      json(0, ""),
      json(0, '{"q":"?"}'),
      close(0),
      open(1, {
        type: "mcp_tool_result",
        tool_use_id: "mcptoolu_1",
        is_error: false,
        content: [{ type: "text", text: "from the tool" }],
      }),
      close(1),
      open(2, { type: "server_tool_use", id: "srvtoolu_2", name: "text_editor_code_execution", input: {} }),
      json(2, '{"command":"create"}'),
      close(2),
      open(3, {
        type: "text_editor_code_execution_tool_result",
        tool_use_id: "srvtoolu_2",
        content: { type: "text_editor_code_execution_create_result", is_file_update: false },
      }),
      close(3),
      open(4, { type: "container_upload", file_id: "file_1" }),
      close(4),
      open(5, text),
      says(5, "Done."),
      close(5),
      stop("end_turn", { container: { id: "container_1", expires_at: "2026-01-01T00:00:00Z" } }),
      end,
    ],
  }),
  make("blocks that start with text in them", {
    answer: [
      start,
      open(0, { type: "thinking", thinking: "Hm", signature: "Eus=" }),
      close(0),
      open(1, { type: "text", text: "Yes" }),
      says(1, "!"),
      close(1),
      stop("end_turn", {}, { output_tokens: 60 }),
      end,
    ],
  }),
  make("counts that say null", {
    answer: whole([{ type: "text", text: "Yes" }], "end_turn", {
      usage: { input_tokens: 5, output_tokens: 2, cache_creation_input_tokens: null, cache_read_input_tokens: null },
    }),
  }),
  make("a turn that pauses", { answer: whole([...SEARCH], "pause_turn") }),
  make("a turn that pauses, streamed", {
    answer: [start, open(0, SEARCH[0] ?? {}), json(0, '{"query":"x"}'), close(0), stop("pause_turn"), end],
  }),
  make("a refusal", {
    answer: whole([], "refusal", { stop_details: { type: "refusal", category: "cyber", explanation: "No." } }),
  }),
  make("a refusal, streamed", {
    answer: [
      start,
      open(0, text),
      says(0, "I can"),
      close(0),
      stop("refusal", { stop_details: { type: "refusal" } }),
      end,
    ],
  }),
  make("cut by its cap", { answer: whole([{ type: "text", text: "Once upon" }], "max_tokens") }),
  make("cut by the window", { answer: whole([{ type: "text", text: "Once" }], "model_context_window_exceeded") }),
  make("a stop sequence", { answer: whole([{ type: "text", text: "a" }], "stop_sequence", { stop_sequence: "END" }) }),
  make("nothing", { answer: whole([], "end_turn", { context_management: { applied_edits: [] } }) }),
  make("nothing, streamed", { answer: [start, ping, stop("end_turn"), end] }),
  make("a compaction", {
    answer: whole(
      [
        { type: "compaction", content: "What was said." },
        { type: "text", text: "On we go." },
      ],
      "end_turn",
      {
        usage: { ...USAGE, iterations: [{ type: "compaction", input_tokens: 5, output_tokens: 5 }] },
      },
    ),
  }),
  make("events and deltas of tomorrow", {
    answer: [
      start,
      { type: "message_weather", weather: "fine" },
      open(0, { type: "hologram", content: "" }),
      delta(0, "hologram_delta", "content", "rgb"),
      close(0),
      open(1, text),
      delta(1, "glow_delta", "glow", 3),
      says(1, "Yes"),
      close(1),
      stop("end_turn"),
      end,
    ],
  }),
  make("an overload in its middle", {
    answer: [
      start,
      open(0, text),
      says(0, "Once"),
      { type: "error", error: { details: null, type: "overloaded_error", message: "Overloaded" }, request_id: "req_1" },
    ],
  }),
  make("an overload before it began", {
    means: 529,
    answer: [start, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }],
  }),
  make("400", refused(400, "invalid_request_error", "messages.0.content: Input should be a valid list")),
  make("400 for a balance", {
    ...refused(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    shows: 429,
  }),
  make("401", refused(401, "authentication_error", "invalid x-api-key")),
  make("403", refused(403, "permission_error", "Your API key does not have permission")),
  make("413", refused(413, "request_too_large", "Request exceeds the maximum size")),
  make("429", {
    ...refused(
      429,
      "rate_limit_error",
      "This request would exceed your organization's rate limit of 50 requests per minute.",
    ),
    headers: { "retry-after": "1" },
  }),
  make("500", refused(500, "api_error", "Internal server error")),
  make("529", refused(529, "overloaded_error", "Overloaded")),
];
