import { parseCohereError } from "./cohere-chat-errors.ts";
import { NAME, renderCohereRequest } from "./cohere-chat-render.ts";
import { parseCohereResponse } from "./cohere-chat-response.ts";
import { CohereStreamParser } from "./cohere-chat-stream.ts";
import type { ProviderDialect } from "./dialect.ts";

/** Cohere's second chat. */
export const cohereChat: ProviderDialect = {
  name: NAME,
  renderRequest: renderCohereRequest,
  parseResponse: parseCohereResponse,
  streamParser: (answerer) => new CohereStreamParser(answerer),
  parseError: parseCohereError,
};
