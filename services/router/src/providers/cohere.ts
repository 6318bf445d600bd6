import type { Endpoint, ProviderKinds } from "./provider.ts";

/** Cohere, the second version of its API: https://docs.cohere.com/reference/chat */
export const kinds: ProviderKinds = {
  cohere: {
    baseUrl: "https://api.cohere.com/v2",
    wires: ["cohere-chat", "cohere-embeddings"],
    priceBook: "cohere",
    endpoint: ({ wire, apiKey }): Endpoint => ({
      path: wire === "cohere-embeddings" ? "/embed" : "/chat",
      headers: [
        ["authorization", `Bearer ${apiKey}`],
        ["x-client-name", "weir"],
      ],
    }),
    forwards: [],
    quirks: { outputCaps: {}, asksForUsage: false },
  },
};
