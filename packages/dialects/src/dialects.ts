import { anthropicMessages } from "./anthropic-messages.ts";
import type { DialectName } from "./core.ts";
import type { Dialect } from "./dialect.ts";
import { geminiGenerate } from "./gemini-generate.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";

/** Every dialect by its name. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  "openai-chat": openAiChat,
  "openai-responses": openAiResponses,
  "anthropic-messages": anthropicMessages,
  "gemini-generate": geminiGenerate,
};
