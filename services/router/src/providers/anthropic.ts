import { type Endpoint, type ProviderKinds, standardOutputCaps } from "./provider.ts";

/** Anthropic: https://docs.anthropic.com/en/api/messages */
export const kinds: ProviderKinds = {
  anthropic: {
    baseUrl: "https://api.anthropic.com/v1",
    wires: ["anthropic-messages"],
    priceBook: "anthropic",
    endpoint: ({ apiKey }): Endpoint => ({
      path: "/messages",
      headers: [
        ["x-api-key", apiKey],
        ["anthropic-version", "2023-06-01"],
      ],
    }),
    forwards: ["anthropic-beta"],
    quirks: { outputCaps: standardOutputCaps, asksForUsage: false },
  },
};
