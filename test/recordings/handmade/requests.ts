/** Requests that say as much as their dialect can: each must arrive in its own bytes, and be understood in every other dialect. */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF = "JVBERi0xLjQK";
const SCHEMA = {
  type: "object",
  properties: { größe: { type: ["number", "null"], description: 'in "m"' }, at: { $ref: "#/$defs/at" } },
  required: ["größe"],
  additionalProperties: false,
  $defs: { at: { type: "string", format: "date-time" } },
};
const TURNS = ["What is in this?", "And now?", "The tool's text", "Something it gave"] as const;

const chat = making("openai-chat", "openai", {});
const responses = making("openai-responses", "openai", {});
const messages = making("anthropic-messages", "anthropic", { max_tokens: 1024 });

const chatAnswer = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "Yes." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};
const responsesAnswer = {
  id: "resp_1",
  object: "response",
  created_at: 1,
  model: "m",
  status: "completed",
  output: [
    {
      id: "msg_1",
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "Yes.", annotations: [] }],
    },
  ],
  usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
};
const messagesAnswer = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [{ type: "text", text: "Yes." }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 3, output_tokens: 2 },
};

const chatCall = (id: string, name: string) => ({
  id,
  type: "function",
  function: { name, arguments: '{"größe": 1}' },
});

export const requests: readonly Exchange[] = [
  chat("pictures, sounds, files, tools and their results", {
    request: {
      messages: [
        { role: "developer", content: [{ type: "text", text: "Be brief." }] },
        {
          role: "user",
          name: "ann",
          content: [
            { type: "text", text: TURNS[0] },
            { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}`, detail: "low" } },
            { type: "image_url", image_url: { url: "https://a.example/cat.png" } },
            { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
            { type: "file", file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` } },
          ],
        },
        {
          role: "assistant",
          content: "I look.",
          refusal: null,
          annotations: [],
          tool_calls: [chatCall("call_a|1", "look"), chatCall("call_b", "listen")],
        },
        { role: "tool", tool_call_id: "call_b", content: TURNS[2] },
        { role: "tool", tool_call_id: "call_a|1", content: [{ type: "text", text: TURNS[3] }] },
        { role: "user", content: TURNS[1] },
      ],
      tools: [
        { type: "function", function: { name: "look", description: "", parameters: SCHEMA, strict: true } },
        { type: "function", function: { name: "listen" } },
      ],
      tool_choice: { type: "function", function: { name: "look" } },
      parallel_tool_calls: false,
      response_format: { type: "json_schema", json_schema: { name: "answer", schema: SCHEMA, strict: true } },
      max_completion_tokens: 500,
      temperature: 0.5,
      top_p: 1.0,
      stop: "END",
      seed: 7,
      logit_bias: { "50256": -100 },
      metadata: { a: "b" },
      store: false,
      reasoning_effort: "low",
      verbosity: "low",
      prompt_cache_key: "k",
      safety_identifier: "s",
      prediction: { type: "content", content: "x" },
    },
    answer: chatAnswer,
  }),
  responses("reasoning, tools of its own, calls and their results", {
    request: {
      instructions: "Be brief.",
      input: [
        {
          type: "message",
          role: "user",
          content: [
            { type: "input_text", text: TURNS[0] },
            { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" },
            { type: "input_file", filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` },
          ],
        },
        { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: "gAAA" },
        { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "x" } },
        {
          type: "message",
          id: "msg_1",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: "I look.", annotations: [] }],
        },
        { type: "function_call", id: "fc_1", call_id: "call_a", name: "look", arguments: '{"größe":1}' },
        { type: "function_call", id: "fc_2", call_id: "call_b", name: "listen", arguments: "" },
        { type: "function_call_output", call_id: "call_a", output: TURNS[2] },
        {
          type: "function_call_output",
          call_id: "call_b",
          output: [
            { type: "input_text", text: TURNS[3] },
            { type: "input_image", image_url: `data:image/png;base64,${PNG}` },
          ],
        },
        { role: "user", content: TURNS[1] },
      ],
      tools: [
        { type: "function", name: "look", description: null, parameters: SCHEMA, strict: true },
        { type: "function", name: "listen", parameters: { type: "object", properties: {} }, strict: false },
        { type: "web_search", search_context_size: "low" },
        { type: "mcp", server_label: "wiki", server_url: "https://mcp.example", require_approval: "never" },
      ],
      tool_choice: "auto",
      include: ["reasoning.encrypted_content", "web_search_call.action.sources"],
      reasoning: { effort: "low", summary: "auto" },
      text: { format: { type: "json_schema", name: "answer", schema: SCHEMA, strict: true }, verbosity: "low" },
      max_output_tokens: 500,
      truncation: "auto",
      store: false,
      prompt_cache_retention: "24h",
    },
    answer: responsesAnswer,
  }),
  messages("documents, thinking, tools and their results", {
    request: {
      system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral", ttl: "1h" } }],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: TURNS[0] },
            { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
            { type: "image", source: { type: "url", url: "https://a.example/cat.png" } },
            {
              type: "document",
              title: "a",
              citations: { enabled: true },
              source: { type: "base64", media_type: "application/pdf", data: PDF },
            },
            { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" } },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "EusB" },
            { type: "redacted_thinking", data: "Emw=" },
            { type: "text", text: "I look." },
            { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
            { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
            { type: "tool_use", id: "toolu_1", name: "look", input: { größe: 1 } },
            { type: "tool_use", id: "toolu_2", name: "listen", input: {} },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "toolu_1", content: TURNS[2] },
            {
              type: "tool_result",
              tool_use_id: "toolu_2",
              is_error: true,
              content: [
                { type: "text", text: TURNS[3] },
                { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
              ],
            },
            { type: "text", text: TURNS[1], cache_control: { type: "ephemeral" } },
          ],
        },
      ],
      tools: [
        { name: "look", description: "looks", input_schema: SCHEMA, strict: true, eager_input_streaming: true },
        { type: "custom", name: "listen", input_schema: { type: "object" } },
        { type: "web_search_20250305", name: "web_search", max_uses: 2 },
        { type: "code_execution_20250825", name: "code_execution" },
      ],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
      thinking: { type: "enabled", budget_tokens: 1024 },
      stop_sequences: ["END"],
      temperature: 1.0,
      top_k: 5,
      metadata: { user_id: "u" },
      output_config: { effort: "low", format: { type: "json_schema", schema: SCHEMA } },
      context_management: { edits: [{ type: "clear_tool_uses_20250919" }] },
    },
    answer: messagesAnswer,
  }),
  messages("a system turn in its middle, empty turns, a prefilled answer", {
    request: {
      system: "",
      messages: [
        { role: "user", content: TURNS[0] },
        { role: "assistant", content: [] },
        { role: "system", content: [{ type: "text", text: "Now in French." }] },
        { role: "user", content: [{ type: "text", text: TURNS[1] }] },
        { role: "assistant", content: "Oui," },
      ],
      thinking: { type: "adaptive" },
    },
    answer: messagesAnswer,
  }),
];
