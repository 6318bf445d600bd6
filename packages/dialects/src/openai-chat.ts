import type { Dialect } from "./dialect.ts";
import { ChatInspector } from "./openai-chat-inspector.ts";
import { renderChatRequest } from "./openai-chat-render.ts";
import { parseChatRequest } from "./openai-chat-request.ts";
import { inspectChatResponse, parseChatResponse, renderChatResponse } from "./openai-chat-response.ts";
import { ChatStreamParser } from "./openai-chat-stream.ts";
import { ChatStreamRenderer } from "./openai-chat-stream-render.ts";
import { parseOpenAiError, renderOpenAiError } from "./openai-errors.ts";
import { encodeSse } from "./sse.ts";
import { SseWatcher } from "./watcher.ts";

/** OpenAI's chat completions, and what DeepSeek, Groq, Mistral, OpenRouter, vLLM and others make of them. */
export const openAiChat: Dialect = {
  name: "openai-chat",
  parseRequest: parseChatRequest,
  renderRequest: renderChatRequest,
  parseResponse: parseChatResponse,
  renderResponse: renderChatResponse,
  inspectResponse: inspectChatResponse,
  streamParser: () => new ChatStreamParser(),
  streamRenderer: (context) => new ChatStreamRenderer(context),
  streamWatcher: (options) => new SseWatcher(new ChatInspector(options)),
  parseError: parseOpenAiError,
  renderError: (error, _requestId, providerCode) => ({ error: renderOpenAiError(error, providerCode) }),
  renderStreamError: (error) => encodeSse({ event: "", data: JSON.stringify({ error: renderOpenAiError(error) }) }),
};
