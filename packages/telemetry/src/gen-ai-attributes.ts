/**
 * Names of OpenTelemetry's semantic conventions that Weir writes. The GenAI ones are still marked unstable there, and live only in an
 * entry of @opentelemetry/semantic-conventions that may break in any release; so the few we use are copied (from 1.45) into this file.
 * None of them ever carries a prompt, an answer or a key.
 */
export const GEN_AI = {
  operationName: "gen_ai.operation.name",
  providerName: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  requestMaxTokens: "gen_ai.request.max_tokens",
  requestStream: "gen_ai.request.stream",
  requestTemperature: "gen_ai.request.temperature",
  requestTopP: "gen_ai.request.top_p",
  responseId: "gen_ai.response.id",
  responseModel: "gen_ai.response.model",
  responseFinishReasons: "gen_ai.response.finish_reasons",
  responseTimeToFirstChunk: "gen_ai.response.time_to_first_chunk",
  usageInputTokens: "gen_ai.usage.input_tokens",
  usageOutputTokens: "gen_ai.usage.output_tokens",
  usageCacheReadInputTokens: "gen_ai.usage.cache_read.input_tokens",
  usageCacheCreationInputTokens: "gen_ai.usage.cache_creation.input_tokens",
  usageReasoningOutputTokens: "gen_ai.usage.reasoning.output_tokens",
} as const;

/** Names of metrics of the same conventions; durations in seconds. */
export const GEN_AI_METRIC = {
  clientOperationDuration: "gen_ai.client.operation.duration",
  clientTokenUsage: "gen_ai.client.token.usage",
  serverRequestDuration: "gen_ai.server.request.duration",
  serverTimeToFirstToken: "gen_ai.server.time_to_first_token",
} as const;

/** Values of `gen_ai.operation.name`. */
export const GEN_AI_OPERATION = { chat: "chat", embeddings: "embeddings" } as const;

/** Stable general names. */
export const ATTRIBUTE = {
  errorType: "error.type",
  httpRequestMethod: "http.request.method",
  httpResponseStatusCode: "http.response.status_code",
  httpRoute: "http.route",
  serverAddress: "server.address",
  serverPort: "server.port",
} as const;

/** What has no name there. */
export const WEIR = {
  requestId: "weir.request.id",
  workspace: "weir.workspace",
  keyId: "weir.key.id",
  attempt: "weir.attempt",
  cache: "weir.cache",
  costUsd: "weir.cost_usd",
} as const;
