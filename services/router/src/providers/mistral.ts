import type { Endpoint, ProviderKinds } from "./provider.ts";

/** Mistral: https://docs.mistral.ai/api/. What it makes of OpenAI's chat is a dialect of its own: it refuses members that it does not know. */
export const kinds: ProviderKinds = {
  mistral: {
    baseUrl: "https://api.mistral.ai/v1",
    wires: ["mistral-chat", "openai-embeddings"],
    priceBook: "mistral",
    endpoint: ({ wire, apiKey }): Endpoint => ({
      path: wire === "openai-embeddings" ? "/embeddings" : "/chat/completions",
      headers: [["authorization", `Bearer ${apiKey}`]],
    }),
    forwards: [],
    quirks: { outputCaps: {}, asksForUsage: false },
  },
};
