import type { Dialect } from "./dialect.ts";
import { parseOpenAiError, renderOpenAiError } from "./openai-errors.ts";
import { ResponsesInspector } from "./openai-responses-inspector.ts";
import { NAME } from "./openai-responses-items.ts";
import { renderResponsesRequest } from "./openai-responses-render.ts";
import { parseResponsesRequest } from "./openai-responses-request.ts";
import {
  inspectResponsesResponse,
  parseResponsesResponse,
  renderResponsesResponse,
} from "./openai-responses-response.ts";
import { ResponsesStreamParser } from "./openai-responses-stream.ts";
import { ResponsesStreamRenderer } from "./openai-responses-stream-render.ts";
import { encodeSse } from "./sse.ts";
import { SseWatcher } from "./watcher.ts";

/** OpenAI's responses. */
export const openAiResponses: Dialect = {
  name: NAME,
  parseRequest: parseResponsesRequest,
  renderRequest: renderResponsesRequest,
  parseResponse: parseResponsesResponse,
  renderResponse: renderResponsesResponse,
  inspectResponse: inspectResponsesResponse,
  streamParser: () => new ResponsesStreamParser(),
  streamRenderer: (context) => new ResponsesStreamRenderer(context),
  // Usage is part of the terminal event: there is nothing to hide.
  streamWatcher: (options) => new SseWatcher(new ResponsesInspector(options)),
  parseError: parseOpenAiError,
  renderError: (error, _requestId, providerCode) => ({ error: renderOpenAiError(error, providerCode) }),
  // The documented event is flat; OpenAI's servers send an `error` object, which its SDK throws. So both.
  renderStreamError: (error) => {
    const rendered = renderOpenAiError(error);
    const { code, message, param } = rendered;
    const event = { type: "error", sequence_number: 0, code, message, param, error: rendered };
    return encodeSse({ event: "error", data: JSON.stringify(event) });
  },
};
