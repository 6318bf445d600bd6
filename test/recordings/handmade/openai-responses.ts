/** https://platform.openai.com/docs/api-reference/responses and responses-streaming */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const make = making("openai-responses", "openai", {
  input: [{ role: "user", content: [{ type: "input_text", text: "hello" }] }],
  include: ["reasoning.encrypted_content"],
});

const USAGE = {
  input_tokens: 300,
  input_tokens_details: { cached_tokens: 128 },
  output_tokens: 90,
  output_tokens_details: { reasoning_tokens: 64 },
  total_tokens: 390,
};
const whole = (output: readonly object[], more: object = {}) => ({
  id: "resp_1",
  object: "response",
  created_at: 1778535251,
  status: "completed",
  background: false,
  billing: { payer: "developer" },
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  model: "gpt-5.4-2026-03-05",
  output,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: "medium", summary: "detailed" },
  store: true,
  temperature: 1.0,
  text: { format: { type: "text" }, verbosity: "medium" },
  tool_choice: "auto",
  tools: [],
  top_p: 1.0,
  truncation: "disabled",
  usage: USAGE,
  user: null,
  metadata: {},
  ...more,
});
const said = (text: string, more: object = {}) => ({
  type: "output_text",
  annotations: [],
  logprobs: [],
  text,
  ...more,
});
const message = (content: readonly object[], more: object = {}) => ({
  id: "msg_1",
  type: "message",
  status: "completed",
  role: "assistant",
  content,
  ...more,
});
const reasoning = (...summary: string[]) => ({
  id: "rs_1",
  type: "reasoning",
  summary: summary.map((text) => ({ type: "summary_text", text })),
  encrypted_content: "gAAAAABo==",
});
const call = (id: string, name: string, args: string) => ({
  id: `fc_${id}`,
  type: "function_call",
  status: "completed",
  arguments: args,
  call_id: `call_${id}`,
  name,
});

const IMAGE = {
  id: "ig_1",
  type: "image_generation_call",
  status: "completed",
  output_format: "png",
  result: "iVBORw0KGgo=",
};
const OWN_TOOLS = [
  { id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "rain" } },
  { id: "fs_1", type: "file_search_call", status: "completed", queries: ["rain"], results: null },
  {
    id: "ci_1",
    type: "code_interpreter_call",
    status: "completed",
    code: "print(6*7)",
    container_id: "cntr_1",
    outputs: [{ type: "logs", logs: "42" }],
  },
  {
    id: "mcpl_1",
    type: "mcp_list_tools",
    server_label: "wiki",
    tools: [{ name: "ask", input_schema: {} }],
    error: null,
  },
  {
    id: "mcp_1",
    type: "mcp_call",
    name: "ask",
    arguments: "{}",
    server_label: "wiki",
    output: "from the tool",
    error: null,
  },
  {
    id: "ts_1",
    type: "tool_search_call",
    execution: "server",
    call_id: null,
    status: "completed",
    arguments: { paths: ["a"] },
  },
];

/** Numbered as OpenAI numbers them. */
const streamed = (...events: readonly (Record<string, unknown> | string)[]) =>
  events.map((event, sequence_number) => (typeof event === "string" ? event : { ...event, sequence_number }));
const opening = [
  { type: "response.created", response: whole([], { status: "in_progress", usage: null }) },
  { type: "response.in_progress", response: whole([], { status: "in_progress", usage: null }) },
];
const item = (kind: "added" | "done", output_index: number, value: object) => ({
  type: `response.output_item.${kind}`,
  output_index,
  item: value,
});
const spoken = (output_index: number, ...texts: string[]) => {
  const at = { item_id: "msg_1", output_index, content_index: 0 };
  const all = texts.join("");
  return [
    item("added", output_index, message([], { status: "in_progress" })),
    { type: "response.content_part.added", ...at, part: said("") },
    ...texts.map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [], obfuscation: "x" })),
    { type: "response.output_text.done", ...at, text: all, logprobs: [] },
    { type: "response.content_part.done", ...at, part: said(all) },
    item("done", output_index, message([said(all)])),
  ];
};
const called = (output_index: number, id: string, name: string, ...pieces: string[]) => {
  const at = { item_id: `fc_${id}`, output_index };
  const args = pieces.join("");
  return [
    item("added", output_index, { ...call(id, name, ""), status: "in_progress" }),
    ...pieces.map((delta) => ({ type: "response.function_call_arguments.delta", ...at, delta, obfuscation: "y" })),
    { type: "response.function_call_arguments.done", ...at, arguments: args },
    item("done", output_index, call(id, name, args)),
  ];
};
const ended = (output: readonly object[], more: object = {}, type = "completed") => ({
  type: `response.${type}`,
  response: whole(output, more),
});
const refused = (status: number, code: string | null, message: string, type = "invalid_request_error") => ({
  status,
  answer: { error: { message, type, param: null, code } },
});

export const openaiResponses: readonly Exchange[] = [
  make("sealed reasoning, text and parallel calls", {
    answer: whole([
      reasoning("**One**", "**Two**"),
      message([said("Let me look.")], { phase: "commentary" }),
      call("a", "get_weather", '{"city":"Zürich"}'),
      call("b", "now", "{}"),
    ]),
  }),
  make("sealed reasoning, text and parallel calls, streamed", {
    answer: streamed(
      ...opening,
      item("added", 0, { ...reasoning(), encrypted_content: "gAAA" }),
      {
        type: "response.reasoning_summary_part.added",
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        part: { type: "summary_text", text: "" },
      },
      {
        type: "response.reasoning_summary_text.delta",
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        delta: "**One**",
      },
      {
        type: "response.reasoning_summary_text.done",
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        text: "**One**",
      },
      {
        type: "response.reasoning_summary_part.done",
        item_id: "rs_1",
        output_index: 0,
        summary_index: 0,
        part: { type: "summary_text", text: "**One**" },
      },
      item("done", 0, reasoning("**One**")),
      ...spoken(1, "Let me", " look 🔎."),
      ...called(2, "a", "get_weather", '{"city":"Zü', 'rich"}'),
      ...called(3, "b", "now", "{}"),
      ended([
        reasoning("**One**"),
        message([said("Let me look 🔎.")]),
        call("a", "get_weather", '{"city":"Zürich"}'),
        call("b", "now", "{}"),
      ]),
    ),
  }),
  make("tools of its own", { answer: whole([...OWN_TOOLS, IMAGE, message([said("It rains.")])]) }),
  make("tools of its own, streamed", {
    answer: streamed(
      ...opening,
      ...OWN_TOOLS.flatMap((value, at) => [
        item("added", at, { ...value, status: "in_progress" }),
        item("done", at, value),
      ]),
      { type: "response.web_search_call.searching", output_index: 0, item_id: "ws_1" },
      { type: "response.code_interpreter_call_code.delta", output_index: 2, item_id: "ci_1", delta: "print(" },
      { type: "response.mcp_call_arguments.delta", output_index: 4, item_id: "mcp_1", delta: "{}" },
      {
        type: "response.image_generation_call.partial_image",
        output_index: 6,
        item_id: "ig_1",
        partial_image_index: 0,
        partial_image_b64: "iVBORw0KGgo=".repeat(2000),
      },
      item("done", 6, IMAGE),
      ...spoken(7, "It rains."),
      {
        type: "response.output_text.annotation.added",
        item_id: "msg_1",
        output_index: 7,
        content_index: 0,
        annotation_index: 0,
        annotation: { type: "url_citation", url: "https://a.example", title: "a", start_index: 0, end_index: 2 },
      },
      ended([...OWN_TOOLS, IMAGE, message([said("It rains.")])]),
    ),
  }),
  make("a computer, a shell, an approval", {
    answer: whole([
      {
        id: "cu_1",
        type: "computer_call",
        call_id: "call_c",
        status: "completed",
        action: { type: "click", button: "left", x: 1, y: 2 },
        pending_safety_checks: [],
      },
      {
        id: "lsh_1",
        type: "local_shell_call",
        call_id: "call_s",
        status: "completed",
        action: { type: "exec", command: ["ls"], env: {} },
      },
      { id: "mcpr_1", type: "mcp_approval_request", name: "ask", arguments: "{}", server_label: "wiki" },
    ]),
  }),
  make("a custom tool", {
    answer: whole([
      { id: "ctc_1", type: "custom_tool_call", status: "completed", call_id: "call_x", name: "sql", input: "select 1" },
    ]),
  }),
  make("a custom tool, streamed", {
    answer: streamed(
      ...opening,
      item("added", 0, {
        id: "ctc_1",
        type: "custom_tool_call",
        status: "in_progress",
        call_id: "call_x",
        name: "sql",
        input: "",
      }),
      { type: "response.custom_tool_call_input.delta", output_index: 0, item_id: "ctc_1", delta: "select 1" },
      { type: "response.custom_tool_call_input.done", output_index: 0, item_id: "ctc_1", input: "select 1" },
      item("done", 0, {
        id: "ctc_1",
        type: "custom_tool_call",
        status: "completed",
        call_id: "call_x",
        name: "sql",
        input: "select 1",
      }),
      ended([
        {
          id: "ctc_1",
          type: "custom_tool_call",
          status: "completed",
          call_id: "call_x",
          name: "sql",
          input: "select 1",
        },
      ]),
    ),
  }),
  make("messages of several parts, and several messages", {
    answer: whole([message([said("One "), said("two")]), reasoning(), { ...message([said(" three")]), id: "msg_2" }]),
  }),
  make("items that are only told when they are done", {
    answer: streamed(
      ...opening,
      item("done", 0, call("a", "look", '{"a":1}')),
      item("added", 1, { ...call("b", "look", ""), namespace: "eyes" }),
      { type: "response.function_call_arguments.done", item_id: "fc_b", output_index: 1, arguments: '{"b":2}' },
      item("done", 1, { ...call("b", "look", '{"b":2}'), namespace: "eyes" }),
      ended([call("a", "look", '{"a":1}'), { ...call("b", "look", '{"b":2}'), namespace: "eyes" }]),
    ),
  }),
  make("nothing at all", { answer: whole([]) }),
  make("nothing at all, streamed", { answer: streamed(...opening, ended([])) }),
  make("a refusal", { answer: whole([message([{ type: "refusal", refusal: "I can't." }])]) }),
  make("a refusal, streamed", {
    answer: streamed(
      ...opening,
      item("added", 0, message([], { status: "in_progress" })),
      {
        type: "response.content_part.added",
        item_id: "msg_1",
        output_index: 0,
        content_index: 0,
        part: { type: "refusal", refusal: "" },
      },
      { type: "response.refusal.delta", item_id: "msg_1", output_index: 0, content_index: 0, delta: "I can't." },
      { type: "response.refusal.done", item_id: "msg_1", output_index: 0, content_index: 0, refusal: "I can't." },
      {
        type: "response.content_part.done",
        item_id: "msg_1",
        output_index: 0,
        content_index: 0,
        part: { type: "refusal", refusal: "I can't." },
      },
      item("done", 0, message([{ type: "refusal", refusal: "I can't." }])),
      ended([message([{ type: "refusal", refusal: "I can't." }])]),
    ),
  }),
  make("annotations and log probabilities", {
    answer: whole([
      message([
        said("Rain", {
          annotations: [{ type: "file_citation", file_id: "file-1", filename: "a.txt", index: 3 }],
          logprobs: [{ token: "Rain", bytes: [82], logprob: -0.1, top_logprobs: [] }],
        }),
        said(" today."),
      ]),
    ]),
  }),
  make("cut by its cap", {
    answer: whole([reasoning(), message([said("Once")], { status: "incomplete" })], {
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    }),
  }),
  make("cut by its cap, streamed", {
    answer: streamed(
      ...opening,
      ...spoken(0, "Once"),
      ended(
        [message([said("Once")])],
        { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
        "incomplete",
      ),
    ),
  }),
  make("filtered", {
    answer: whole([message([said("Once")])], {
      status: "incomplete",
      incomplete_details: { reason: "content_filter" },
    }),
  }),
  make("an error in its middle", {
    answer: streamed(...opening, ...spoken(0, "Once"), {
      type: "error",
      code: "server_error",
      message: "The model failed",
      param: null,
    }),
  }),
  make("a response that fails in its middle", {
    answer: streamed(
      ...opening,
      ...spoken(0, "Once"),
      ended(
        [],
        { status: "failed", error: { code: "server_error", message: "The model failed" }, usage: null },
        "failed",
      ),
    ),
  }),
  make("a response that fails before it began", {
    means: 429,
    answer: streamed(
      ...opening,
      ended(
        [],
        { status: "failed", error: { code: "rate_limit_exceeded", message: "Slow down" }, usage: null },
        "failed",
      ),
    ),
  }),
  make("a response that failed", {
    means: 400,
    answer: whole([], {
      status: "failed",
      error: { code: "invalid_image_url", message: "Error while downloading https://a.example." },
      usage: null,
    }),
  }),
  make("400", refused(400, "context_length_exceeded", "Your input exceeds the context window of this model.")),
  make("401", refused(401, "invalid_api_key", "Incorrect API key provided.")),
  make("404", refused(404, "model_not_found", "The requested model 'gpt-9' does not exist.")),
  make("429", refused(429, "rate_limit_exceeded", "Rate limit reached", "requests")),
  make("500", refused(500, null, "The server had an error", "server_error")),
];
