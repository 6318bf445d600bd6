import { parseMessagesError, renderMessagesError } from "./anthropic-messages-errors.ts";
import { MessagesInspector } from "./anthropic-messages-inspector.ts";
import { renderMessagesRequest } from "./anthropic-messages-render.ts";
import { parseMessagesRequest } from "./anthropic-messages-request.ts";
import {
  inspectMessagesResponse,
  parseMessagesResponse,
  renderMessagesResponse,
} from "./anthropic-messages-response.ts";
import { MessagesStreamParser } from "./anthropic-messages-stream.ts";
import { MessagesStreamRenderer } from "./anthropic-messages-stream-render.ts";
import type { Dialect } from "./dialect.ts";
import { encodeSse } from "./sse.ts";
import { SseWatcher } from "./watcher.ts";

/** Anthropic's Messages API, and what others make of it. */
export const anthropicMessages: Dialect = {
  name: "anthropic-messages",
  parseRequest: parseMessagesRequest,
  renderRequest: renderMessagesRequest,
  parseResponse: parseMessagesResponse,
  renderResponse: renderMessagesResponse,
  inspectResponse: inspectMessagesResponse,
  streamParser: () => new MessagesStreamParser(),
  streamRenderer: (context) => new MessagesStreamRenderer(context),
  streamWatcher: () => new SseWatcher(new MessagesInspector()),
  parseError: parseMessagesError,
  renderError: renderMessagesError,
  renderStreamError: (error, requestId) =>
    encodeSse({ event: "error", data: JSON.stringify(renderMessagesError(error, requestId)) }),
};
