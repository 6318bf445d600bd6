/** https://platform.openai.com/docs/api-reference/chat */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const make = making("openai-chat", "openai", { messages: [{ role: "user", content: "Grüße 👋" }] });

const USAGE = {
  prompt_tokens: 120,
  completion_tokens: 40,
  total_tokens: 160,
  prompt_tokens_details: { cached_tokens: 64, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 24,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
};

const whole = (message: object, finish_reason = "stop", more: object = {}) => ({
  id: "chatcmpl-B1",
  object: "chat.completion",
  created: 1759436803,
  model: "gpt-4o-2024-08-06",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: null, refusal: null, ...message },
      logprobs: null,
      finish_reason,
    },
  ],
  usage: USAGE,
  service_tier: "default",
  system_fingerprint: "fp_cbf1785567",
  ...more,
});

const chunk = (delta: object, finish_reason: string | null = null, more: object = {}) => ({
  id: "chatcmpl-B1",
  object: "chat.completion.chunk",
  created: 1759436803,
  model: "gpt-4o-2024-08-06",
  service_tier: "default",
  choices: [{ index: 0, delta, logprobs: null, finish_reason }],
  usage: null,
  obfuscation: "x7",
  ...more,
});
const DONE = "data: [DONE]\n\n";
const counted = { ...chunk({}), choices: [], usage: USAGE };
const call = (index: number, id: string, name: string, args: string) => ({
  index,
  id,
  type: "function",
  function: { name, arguments: args },
});
const more = (index: number, args: string) => ({ index, function: { arguments: args } });
const opening = chunk({ role: "assistant", content: "", refusal: null });
const asked = { stream_options: { include_usage: true } };

const LOGPROBS = {
  content: [
    {
      token: "Gr",
      logprob: -0.01,
      bytes: [71, 114],
      top_logprobs: [
        { token: "Gr", logprob: -0.01, bytes: [71, 114] },
        { token: "Ha", logprob: -5.2, bytes: null },
      ],
    },
    { token: "üß", logprob: -3.1e-7, bytes: [195, 188, 195, 159], top_logprobs: [] },
  ],
  refusal: null,
};

const refused = (status: number, error: object): { status: number; answer: object } => ({ status, answer: { error } });

export const openaiChat: readonly Exchange[] = [
  make("parallel calls", {
    answer: whole(
      {
        tool_calls: [
          {
            id: "call_a",
            type: "function",
            function: { name: "get_weather", arguments: '{"city":"Zürich","days":3}' },
          },
          { id: "call_b", type: "function", function: { name: "now", arguments: "{}" } },
        ],
        annotations: [],
      },
      "tool_calls",
    ),
  }),
  make("parallel calls, streamed", {
    request: asked,
    answer: [
      chunk({ role: "assistant", content: null }),
      chunk({ tool_calls: [call(0, "call_a", "get_weather", "")] }),
      chunk({ tool_calls: [more(0, '{"city": "Zü')] }),
      chunk({ tool_calls: [call(1, "call_b", "now", "")] }),
      chunk({ tool_calls: [more(0, 'rich \\u2603 \\"x\\"", "n": 1.5e3}')] }),
      chunk({ tool_calls: [more(1, "{}")] }),
      chunk({}, "tool_calls"),
      counted,
      DONE,
    ],
  }),
  make("text before a call, streamed without usage", {
    answer: [
      opening,
      chunk({ content: "Let me look" }),
      chunk({ content: " 🔎." }),
      chunk({ tool_calls: [call(0, "call_a", "look", '{"at":["a","b"]}')] }),
      chunk({}, "tool_calls"),
      counted,
      DONE,
    ],
  }),
  make("structured output with log probabilities", {
    request: {
      response_format: {
        type: "json_schema",
        json_schema: {
          name: "city",
          strict: true,
          schema: { type: "object", properties: { größe: { type: "number" } } },
        },
      },
      logprobs: true,
      top_logprobs: 2,
    },
    answer: whole({ content: '{"größe": 1.0, "s": "a\\nb"}' }, "stop", {
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: '{"größe": 1.0}', refusal: null },
          logprobs: LOGPROBS,
          finish_reason: "stop",
        },
      ],
    }),
  }),
  make("log probabilities, streamed", {
    request: { ...asked, logprobs: true },
    answer: [
      opening,
      chunk({}, null, { choices: [{ index: 0, delta: { content: "Grüß" }, logprobs: LOGPROBS, finish_reason: null }] }),
      chunk({}, "stop"),
      counted,
      DONE,
    ],
  }),
  make("a refusal", { answer: whole({ refusal: "I'm sorry, I can't help with that." }) }),
  make("a refusal, streamed", {
    request: asked,
    answer: [opening, chunk({ refusal: "I'm sorry," }), chunk({ refusal: " no." }), chunk({}, "stop"), counted, DONE],
  }),
  make("cut by its cap while thinking", {
    answer: whole({ content: "" }, "length", {
      usage: { ...USAGE, completion_tokens_details: { reasoning_tokens: 40 } },
    }),
  }),
  make("nothing but a cap, streamed", { request: asked, answer: [opening, chunk({}, "length"), counted, DONE] }),
  make("filtered", { answer: whole({ content: "Once" }, "content_filter") }),
  make("filtered, as Azure streams it", {
    request: asked,
    answer: [
      {
        ...chunk({}),
        id: "",
        created: 0,
        choices: [],
        prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }],
      },
      opening,
      chunk({ content: "Once" }),
      chunk({}, "content_filter"),
      counted,
      DONE,
    ],
  }),
  make("sound", {
    request: { modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } },
    answer: whole(
      { audio: { id: "audio_1", data: "UklGRg==", expires_at: 1759440000, transcript: "Hello there" } },
      "stop",
      {
        usage: {
          ...USAGE,
          prompt_tokens_details: { audio_tokens: 50, cached_tokens: 0 },
          completion_tokens_details: { audio_tokens: 30, reasoning_tokens: 0 },
        },
      },
    ),
  }),
  make("annotations of a web search", {
    request: { web_search_options: {} },
    answer: whole({
      content: "Rain ([a](https://a.example)).",
      annotations: [
        { type: "url_citation", url_citation: { start_index: 5, end_index: 29, title: "a", url: "https://a.example" } },
      ],
    }),
  }),
  make("annotations, streamed", {
    request: asked,
    answer: [
      opening,
      chunk({ content: "Rain." }),
      chunk({ annotations: [{ type: "url_citation", url_citation: { title: "a", url: "https://a.example" } }] }),
      chunk({}, "stop"),
      counted,
      DONE,
    ],
  }),
  make("two answers", {
    request: { n: 2 },
    answer: whole({}, "stop", {
      choices: [
        { index: 0, message: { role: "assistant", content: "one" }, finish_reason: "stop" },
        { index: 1, message: { role: "assistant", content: "two" }, finish_reason: "length" },
      ],
    }),
  }),
  make("two answers, streamed", {
    request: { ...asked, n: 2 },
    answer: [
      opening,
      chunk({}, null, { choices: [{ index: 1, delta: { role: "assistant", content: "two" }, finish_reason: null }] }),
      chunk({ content: "one" }),
      chunk({}, null, { choices: [{ index: 1, delta: {}, finish_reason: "length" }] }),
      chunk({}, "stop"),
      counted,
      DONE,
    ],
  }),
  make("arguments that are no JSON", {
    answer: whole(
      { tool_calls: [{ id: "call_a", type: "function", function: { name: "f", arguments: '{"a": "unfinished' } }] },
      "length",
    ),
  }),
  make("an empty answer", { answer: whole({ content: "" }) }),
  make("a stream with CRLF, comments, a BOM, ids, no space after the colon and no blank line at its end", {
    request: asked,
    answer: [
      `\uFEFF: hello\r\n\r\nid: 1\r\nretry: 10\r\ndata:${JSON.stringify(opening)}\r\n\r\n`,
      `: keep-alive\r\n\r\ndata:${JSON.stringify(chunk({ content: "A\u2028b\u00a0ü" }))}\r\n\r\n`,
      `data:${JSON.stringify(chunk({}, "stop"))}\r\n\r\ndata:${JSON.stringify(counted)}\r\n\r\ndata: [DONE]`,
    ],
  }),
  make("a stream that counts in every chunk", {
    request: asked,
    answer: [
      { ...opening, usage: { prompt_tokens: 5, completion_tokens: 0, total_tokens: 5 } },
      { ...chunk({ content: "Hi" }), usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 } },
      { ...chunk({}, "stop"), usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 } },
      DONE,
    ],
  }),
  make("a call that comes without an index, and its end in the same chunk", {
    request: asked,
    answer: [
      chunk({ role: "assistant", content: "Hm." }),
      chunk(
        { tool_calls: [{ id: "call_a", type: "function", function: { name: "look", arguments: '{"a":1}' } }] },
        "tool_calls",
      ),
      counted,
      DONE,
    ],
  }),
  make("a finish reason that is said twice, with usage", {
    request: asked,
    answer: [
      opening,
      chunk({ content: "Hi" }),
      chunk({ content: "" }, "stop"),
      { ...chunk({ content: "" }, "stop"), usage: USAGE },
      DONE,
    ],
  }),
  make("calls and a deprecated function", {
    answer: whole({ function_call: { name: "look", arguments: '{"a":1}' } }, "function_call"),
  }),
  make("sound, streamed", {
    request: asked,
    answer: [
      chunk({ role: "assistant", audio: { id: "audio_1", transcript: "Hel" } }),
      chunk({ audio: { data: "UklGRg==" } }),
      chunk({ audio: { transcript: "lo" } }),
      chunk({ audio: { expires_at: 1 } }, "stop"),
      counted,
      DONE,
    ],
  }),
  make("a stream that fails in its middle", {
    request: asked,
    answer: [
      opening,
      chunk({ content: "Once upon" }),
      {
        error: {
          message: "The server had an error while processing your request",
          type: "server_error",
          param: null,
          code: null,
        },
      },
    ],
  }),
  make("a stream that fails before it began", {
    request: asked,
    means: 500,
    answer: [{ error: { message: "The server had an error", type: "server_error", param: null, code: null } }, DONE],
  }),
  make(
    "400 for a long input",
    refused(400, {
      message:
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
      type: "invalid_request_error",
      param: "messages",
      code: "context_length_exceeded",
    }),
  ),
  make(
    "401",
    refused(401, {
      message: "Incorrect API key provided: sk-repla**********-key.",
      type: "invalid_request_error",
      param: null,
      code: "invalid_api_key",
    }),
  ),
  make(
    "403",
    refused(403, {
      message: "Country not supported",
      type: "request_forbidden",
      param: null,
      code: "unsupported_country_region_territory",
    }),
  ),
  make(
    "404",
    refused(404, {
      message: "The model `gpt-9` does not exist or you do not have access to it.",
      type: "invalid_request_error",
      param: null,
      code: "model_not_found",
    }),
  ),
  make("422", refused(422, { message: "Unprocessable", type: "invalid_request_error", param: "messages", code: null })),
  make("429 for a rate", {
    ...refused(429, {
      message:
        "Rate limit reached for gpt-4o in organization org-AbCdEf123456 on tokens per min (TPM): Limit 30000, Used 29000. Please try again in 6ms.",
      type: "tokens",
      param: null,
      code: "rate_limit_exceeded",
    }),
    headers: { "retry-after": "1", "retry-after-ms": "6" },
  }),
  make("429 for a quota", {
    ...refused(429, {
      message: "You exceeded your current quota, please check your plan and billing details.",
      type: "insufficient_quota",
      param: null,
      code: "insufficient_quota",
    }),
    shows: 429,
  }),
  make("500", refused(500, { message: "The server had an error", type: "server_error", param: null, code: null })),
  make(
    "503",
    refused(503, {
      message: "The engine is currently overloaded",
      type: "service_unavailable",
      param: null,
      code: null,
    }),
  ),
  make("a proxy's page", {
    status: 502,
    headers: { "content-type": "text/html" },
    shows: 502,
    answer: "<html><body><h1>502 Bad Gateway</h1></body></html>",
  }),
];
