import { anthropicMessages } from "./anthropic-messages.ts";
import { bedrockConverse } from "./bedrock-converse.ts";
import { cohereChat } from "./cohere-chat.ts";
import type { DialectName, ProviderDialectName } from "./core.ts";
import type { Dialect, ProviderDialect } from "./dialect.ts";
import { geminiGenerate } from "./gemini-generate.ts";
import { mistralChat } from "./mistral-chat.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";

/** What clients may speak, by name. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  "openai-chat": openAiChat,
  "openai-responses": openAiResponses,
  "anthropic-messages": anthropicMessages,
  "gemini-generate": geminiGenerate,
};

/** What providers may speak, by name. */
export const providerDialects: Readonly<Record<ProviderDialectName, ProviderDialect>> = {
  ...dialects,
  "mistral-chat": mistralChat,
  "bedrock-converse": bedrockConverse,
  "cohere-chat": cohereChat,
};
