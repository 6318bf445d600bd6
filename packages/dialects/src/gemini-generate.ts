import { parseGenerateError, renderGenerateError } from "./gemini-generate-errors.ts";
import { renderGenerateRequest } from "./gemini-generate-render.ts";
import { parseGenerateRequest } from "./gemini-generate-request.ts";
import { inspectGenerateResponse, parseGenerateResponse, renderGenerateResponse } from "./gemini-generate-response.ts";
import { GenerateStreamParser } from "./gemini-generate-stream.ts";
import { GenerateStreamRenderer } from "./gemini-generate-stream-render.ts";
import { GenerateWatcher } from "./gemini-generate-watcher.ts";
import type { Dialect } from "./dialect.ts";
import { encodeSse } from "./sse.ts";

/** Google's generateContent and streamGenerateContent?alt=sse, of the Gemini API and of Vertex. */
export const geminiGenerate: Dialect = {
  name: "gemini-generate",
  parseRequest: parseGenerateRequest,
  renderRequest: renderGenerateRequest,
  parseResponse: parseGenerateResponse,
  renderResponse: renderGenerateResponse,
  inspectResponse: inspectGenerateResponse,
  streamParser: () => new GenerateStreamParser(),
  streamRenderer: (context) => new GenerateStreamRenderer(context),
  streamWatcher: () => new GenerateWatcher(),
  parseError: parseGenerateError,
  renderError: renderGenerateError,
  renderStreamError: (error, requestId) =>
    encodeSse({ event: "", data: JSON.stringify(renderGenerateError(error, requestId)) }),
};
