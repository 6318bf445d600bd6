import { type Endpoint, type EndpointTarget, type ProviderKinds, standardOutputCaps } from "./provider.ts";

const PATHS: Partial<Record<EndpointTarget["wire"], string>> = {
  "openai-chat": "/chat/completions",
  "openai-responses": "/responses",
  "openai-embeddings": "/embeddings",
};

/** OpenAI: https://platform.openai.com/docs/api-reference */
export const kinds: ProviderKinds = {
  openai: {
    baseUrl: "https://api.openai.com/v1",
    wires: ["openai-chat", "openai-responses", "openai-embeddings"],
    priceBook: "openai",
    endpoint: ({ wire, apiKey }): Endpoint => ({
      path: PATHS[wire] ?? "/chat/completions",
      headers: [["authorization", `Bearer ${apiKey}`]],
    }),
    forwards: ["openai-beta"],
    quirks: { outputCaps: standardOutputCaps, asksForUsage: true },
  },
};
