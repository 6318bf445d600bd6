/** Groq (https://console.groq.com/docs), OpenRouter (https://openrouter.ai/docs) and Mistral (https://docs.mistral.ai/api). */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const request = { messages: [{ role: "user", content: "hello" }] };
const groq = making("openai-chat", "groq", request);
const openrouter = making("openai-chat", "openrouter", request);
const mistral = making("mistral-chat", "mistral", request);

const DONE = "data: [DONE]\n\n";
const head = (object: string, model: string) => ({ id: "cmpl-1", object, created: 1758144046, model });
const whole = (model: string, message: object, finish_reason: string, usage: object, choice: object = {}) => ({
  ...head("chat.completion", model),
  choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason, ...choice }],
  usage,
});
const chunk = (model: string, delta: object, finish_reason: string | null = null, more: object = {}) => ({
  ...head("chat.completion.chunk", model),
  choices: [{ index: 0, delta, finish_reason }],
  ...more,
});

const GROQ_USAGE = {
  queue_time: 0.05,
  prompt_tokens: 240,
  prompt_time: 0.01,
  completion_tokens: 60,
  completion_time: 0.2,
  total_tokens: 300,
  total_time: 0.21,
  completion_tokens_details: { reasoning_tokens: 33 },
};
const EXECUTED = {
  index: 0,
  type: "search",
  arguments: '{"query": "weather"}',
  output: "Title: a\ncontent: text that no model wrote",
  search_results: { results: [{ title: "a", url: "https://a.example", content: "more text", score: 0.9 }] },
};

const ROUTER_USAGE = {
  prompt_tokens: 17,
  completion_tokens: 90,
  total_tokens: 107,
  cost: 0.00012,
  is_byok: false,
  prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
  cost_details: { upstream_inference_cost: null },
  completion_tokens_details: { reasoning_tokens: 70, image_tokens: 0 },
};
const DETAIL = { type: "reasoning.text", text: "Think", signature: "c2ln", format: "anthropic-claude-v1", index: 0 };

const MISTRAL_USAGE = { prompt_tokens: 10, total_tokens: 232, completion_tokens: 222, prompt_audio_seconds: {} };
const TIMES = { role: "assistant", tool_calls: null };

export const compatible: readonly Exchange[] = [
  groq("thinking and tools of its own", {
    answer: whole(
      "groq/compound",
      { content: "It rains.", reasoning: "<tool>search(weather)</tool>", executed_tools: [EXECUTED] },
      "stop",
      GROQ_USAGE,
      { logprobs: null },
    ),
  }),
  groq("thinking, tools of its own and usage in x_groq, streamed", {
    answer: [
      chunk("groq/compound", { role: "assistant", content: "" }, null, { x_groq: { id: "req_01abc" } }),
      chunk("groq/compound", { reasoning: "Sear" }),
      chunk("groq/compound", { reasoning: "ch.", executed_tools: [{ ...EXECUTED, output: null }] }),
      chunk("groq/compound", { executed_tools: [EXECUTED] }),
      chunk("groq/compound", { content: "It rains." }),
      chunk("groq/compound", {}, "stop", { x_groq: { id: "req_01abc", usage: GROQ_USAGE } }),
      DONE,
    ],
  }),
  groq("usage where it was asked for", {
    request: { stream_options: { include_usage: true } },
    answer: [
      chunk("llama", { role: "assistant", content: "Hi" }),
      chunk("llama", {}, "stop", { x_groq: { id: "req_01abc", usage: GROQ_USAGE } }),
      { ...head("chat.completion.chunk", "llama"), choices: [], usage: GROQ_USAGE, x_groq: { usage: GROQ_USAGE } },
      DONE,
    ],
  }),
  groq("a whole call in one chunk", {
    answer: [
      chunk("llama", { role: "assistant", content: null }),
      chunk("llama", {
        tool_calls: [
          { id: "fc_1", type: "function", index: 0, function: { name: "get", arguments: '{"a":1}' } },
          { id: "fc_2", type: "function", index: 1, function: { name: "get", arguments: "{}" } },
        ],
      }),
      chunk("llama", {}, "tool_calls", { x_groq: { usage: GROQ_USAGE } }),
      DONE,
    ],
  }),
  groq("400 with what the model wrote in place of a call", {
    status: 400,
    answer: {
      error: {
        message: "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
        type: "invalid_request_error",
        code: "tool_use_failed",
        failed_generation: '{"name": "get_something_by_name", "arguments": {"name": 1}}',
      },
    },
  }),
  groq("the same as a stream's first event", {
    means: 400,
    answer: [
      chunk("llama", { role: "assistant", content: "" }),
      `event: error\ndata: ${JSON.stringify({
        error: {
          message: "Failed to call a function.",
          type: "invalid_request_error",
          code: "tool_use_failed",
          failed_generation: '{"name": "get"}',
          status_code: 400,
        },
      })}\n\n`,
    ],
  }),
  groq("413", {
    status: 413,
    answer: {
      error: {
        message: "Request too large for model `llama`, please reduce your message size.",
        type: "tokens",
        code: "rate_limit_exceeded",
      },
    },
  }),
  groq("498", {
    status: 498,
    answer: { error: { message: "Flex tier capacity exceeded", type: "flex", code: "capacity_exceeded" } },
  }),
  openrouter("thinking with details", {
    answer: whole(
      "anthropic/claude",
      { content: "Hi.", refusal: null, reasoning: "Think", reasoning_details: [DETAIL] },
      "stop",
      ROUTER_USAGE,
      { native_finish_reason: "end_turn", logprobs: null },
    ),
  }),
  openrouter("thinking with details and a call, streamed", {
    request: { stream_options: { include_usage: true } },
    answer: [
      ": OPENROUTER PROCESSING\n\n",
      chunk("openai/gpt-5", {
        role: "assistant",
        content: "",
        reasoning: "Th",
        reasoning_details: [{ ...DETAIL, text: "Th", signature: null }],
      }),
      chunk("openai/gpt-5", {
        role: "assistant",
        content: "",
        reasoning: "ink",
        reasoning_details: [{ ...DETAIL, text: "ink" }],
      }),
      chunk("openai/gpt-5", {
        role: "assistant",
        content: "",
        reasoning: null,
        reasoning_details: [
          { type: "reasoning.encrypted", data: "gAAA", id: "rs_1", format: "openai-responses-v1", index: 0 },
        ],
      }),
      chunk("openai/gpt-5", {
        role: "assistant",
        content: null,
        tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "get", arguments: "" } }],
      }),
      chunk("openai/gpt-5", {
        role: "assistant",
        content: null,
        tool_calls: [{ index: 0, type: "function", function: { name: null, arguments: '{"a":' } }],
      }),
      chunk("openai/gpt-5", {
        role: "assistant",
        content: null,
        tool_calls: [{ index: 0, type: "function", function: { arguments: '"b"}' } }],
      }),
      chunk("openai/gpt-5", { role: "assistant", content: "" }, "tool_calls"),
      {
        ...chunk("openai/gpt-5", { role: "assistant", content: "" }),
        choices: [
          { index: 0, delta: { role: "assistant", content: "" }, finish_reason: null, native_finish_reason: null },
        ],
        usage: ROUTER_USAGE,
      },
      DONE,
    ],
  }),
  openrouter("thinking under two names, and with the text", {
    request: { stream_options: { include_usage: true } },
    answer: [
      chunk("z/glm", { role: "assistant", content: null, reasoning: "Th", reasoning_content: "Th" }),
      chunk("z/glm", { content: "Hi", reasoning: "ink" }),
      chunk("z/glm", { content: " there", reasoning: null }, "stop"),
      {
        ...head("chat.completion.chunk", "z/glm"),
        choices: [],
        usage: { ...ROUTER_USAGE, completion_tokens_details: null },
      },
      DONE,
    ],
  }),
  openrouter("a file's annotations and a refusal of none", {
    answer: whole(
      "x/y",
      {
        content: "A file.",
        refusal: null,
        reasoning: null,
        annotations: [
          { type: "file", file: { hash: "ab", name: "a.pdf", content: [{ type: "text", text: "not said" }] } },
        ],
      },
      "stop",
      { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, prompt_tokens_details: null },
    ),
  }),
  openrouter("a picture", {
    answer: whole(
      "google/gemini-image",
      {
        content: "Here.",
        images: [{ type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==" }, index: 0 }],
      },
      "stop",
      ROUTER_USAGE,
    ),
  }),
  openrouter("an error in a 200", {
    means: 502,
    answer: {
      error: { message: "Provider returned error", code: 502, metadata: { provider_name: "Venice", raw: "boom" } },
      user_id: null,
    },
  }),
  openrouter("a rate in a 200", {
    means: 429,
    answer: { error: { message: "Provider is rate limited", code: 429, metadata: { provider_name: "Venice" } } },
  }),
  openrouter("a stream whose choice fails", {
    answer: [
      chunk("x/y", { role: "assistant", content: "Once" }),
      {
        ...head("chat.completion.chunk", "x/y"),
        error: { code: "server_error", message: "Provider disconnected unexpectedly" },
        choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }],
      },
    ],
  }),
  openrouter("402", {
    status: 402,
    answer: {
      error: { message: "Insufficient credits. Add more using https://openrouter.ai/settings/credits", code: 402 },
    },
    shows: 429,
  }),
  openrouter("403 for what a prompt says", {
    status: 403,
    answer: {
      error: {
        message: "Input was flagged",
        code: 403,
        metadata: { reasons: ["violence"], flagged_input: "…", provider_name: "OpenAI", model_slug: "x/y" },
      },
    },
    shows: 403,
  }),
  openrouter("404", {
    status: 404,
    answer: { error: { message: "No endpoints found that support tool use.", code: 404 } },
  }),
  openrouter("429 for a rate, naming an account", {
    status: 429,
    answer: {
      error: {
        message: "Rate limit exceeded: free-models-per-min.",
        code: 429,
        metadata: { headers: { "X-RateLimit-Limit": "20" } },
      },
      user_id: "user_2abcDEF12345",
    },
  }),
  mistral("thinking and text in a list", {
    answer: whole(
      "magistral",
      {
        content: [
          {
            type: "thinking",
            thinking: [
              { type: "text", text: "First " },
              { type: "text", text: "this." },
            ],
            closed: true,
          },
          { type: "text", text: "Look both ways. " },
          { type: "reference", reference_ids: [1, 2] },
          { type: "text", text: "Then go." },
        ],
        tool_calls: null,
        prefix: false,
      },
      "stop",
      MISTRAL_USAGE,
    ),
  }),
  mistral("thinking and text in lists, streamed", {
    answer: [
      chunk("magistral", { role: "assistant", content: "" }),
      chunk("magistral", { content: [{ type: "thinking", thinking: [{ type: "text", text: "First" }] }] }),
      chunk("magistral", { content: [{ type: "thinking", thinking: [{ type: "text", text: " this." }] }] }),
      chunk("magistral", { content: [{ type: "text", text: "Look" }] }),
      chunk("magistral", { content: " both ways." }),
      chunk("magistral", { content: "" }, "stop", { usage: MISTRAL_USAGE, p: "abc" }),
      DONE,
    ],
  }),
  mistral("thinking and text in one chunk", {
    answer: [
      chunk("magistral", {
        role: "assistant",
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "Hm" }] },
          { type: "text", text: "Yes" },
        ],
      }),
      chunk(
        "magistral",
        {
          content: [
            { type: "text", text: "." },
            { type: "tool_reference", tool: "web_search", title: "a" },
          ],
        },
        "stop",
        { usage: MISTRAL_USAGE },
      ),
      DONE,
    ],
  }),
  mistral("calls with objects for arguments", {
    answer: whole(
      "mistral-large",
      {
        content: "",
        tool_calls: [
          { id: "DCbAwMRy4", function: { name: "get", arguments: '{"a": "é"}' }, index: 0 },
          { id: "xK2pQ9sT1", type: "function", function: { name: "other", arguments: {} }, index: 1 },
        ],
      },
      "tool_calls",
      MISTRAL_USAGE,
    ),
  }),
  mistral("calls, streamed", {
    answer: [
      chunk("mistral-large", { role: "assistant", content: "" }),
      chunk(
        "mistral-large",
        {
          ...TIMES,
          content: "",
          tool_calls: [
            { id: "DCbAwMRy4", function: { name: "get", arguments: '{"a": 1}' }, index: 0 },
            { id: "xK2pQ9sT1", function: { name: "other", arguments: "{}" }, index: 1 },
          ],
        },
        "tool_calls",
        { usage: MISTRAL_USAGE },
      ),
      DONE,
    ],
  }),
  mistral("cut by the model's own length", { answer: whole("m", { content: "Long" }, "model_length", MISTRAL_USAGE) }),
  mistral("401", { status: 401, answer: { detail: "Unauthorized" } }),
  mistral("422", {
    status: 422,
    answer: {
      object: "error",
      message: { detail: [{ type: "missing", loc: ["body", "messages"], msg: "Field required", input: {} }] },
      type: "invalid_request_message_error",
      param: null,
      code: null,
    },
  }),
  mistral("400", {
    status: 400,
    answer: {
      object: "error",
      message: "Invalid model: mistral-xxl",
      type: "invalid_model",
      param: null,
      code: "1500",
      raw_status_code: 400,
    },
  }),
  mistral("429", {
    status: 429,
    answer: { object: "error", message: "Rate limit exceeded", type: "rate_limited", param: null, code: "1300" },
  }),
];
