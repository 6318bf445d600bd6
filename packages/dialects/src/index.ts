export { anthropicMessages } from "./anthropic-messages.ts";
export { AwsEventStreamReader, encodeAwsEvent } from "./aws-event-stream.ts";
export type * from "./core.ts";
export type * from "./dialect.ts";
export { dialects, providerDialects } from "./dialects.ts";
export { type EmbeddingsDialect, type EmbeddingsDialectName, embeddingsDialects } from "./embeddings.ts";
export { geminiGenerate } from "./gemini-generate.ts";
export { keyProblem, withPlainKeys } from "./json-keys.ts";
export { type JsonReplacement, replaceJson } from "./json-replace.ts";
export { type JsonChanges, spliceJson } from "./json-splice.ts";
export { openAiChat } from "./openai-chat.ts";
export {
  base64OfFloats,
  type EmbeddingInput,
  type EmbeddingsRequest,
  type EmbeddingsResponse,
  parseEmbeddingsRequest,
  parseEmbeddingsUsage,
  renderEmbeddingsResponse,
} from "./openai-embeddings.ts";
export { retryAfterMs } from "./openai-errors.ts";
export { openAiResponses } from "./openai-responses.ts";
export { exampleOfSchema } from "./schema-example.ts";
export {
  encodeSse,
  EventSplitter,
  MAX_EVENT_BYTES,
  readEvent,
  SseParser,
  type SseEvent,
  type WholeEvents,
} from "./sse.ts";
export { type EventInspector, SseWatcher } from "./watcher.ts";
