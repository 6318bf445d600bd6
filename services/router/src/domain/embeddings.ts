import type { Usage } from "@weir/dialects";

export const usageOfInput = (inputTokens: number, estimated: boolean): Usage => ({
  inputTokens,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  estimated,
});
