import type { Exchange } from "../exchange.ts";
import { anthropic } from "./anthropic.ts";
import { bedrockConverse } from "./bedrock.ts";
import { compatible } from "./compatible.ts";
import { gemini } from "./gemini.ts";
import { openaiChat } from "./openai-chat.ts";
import { openaiResponses } from "./openai-responses.ts";

export { requests } from "./requests.ts";

/** What nobody recorded, in the formats that the providers document. */
export const handmade: readonly Exchange[] = [
  ...openaiChat,
  ...openaiResponses,
  ...compatible,
  ...anthropic,
  ...gemini,
  ...bedrockConverse,
];
