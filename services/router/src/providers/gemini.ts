import { type Endpoint, type ProviderKinds, standardOutputCaps } from "./provider.ts";

/** Google's Gemini API: https://ai.google.dev/api. The model is in the path; the key travels in a header, never in the URL. */
export const kinds: ProviderKinds = {
  gemini: {
    baseUrl: "https://generativelanguage.googleapis.com/v1beta",
    wires: ["gemini-generate", "gemini-embeddings"],
    priceBook: "google",
    endpoint: ({ model, wire, stream, apiKey }): Endpoint => {
      const method =
        wire === "gemini-embeddings"
          ? "batchEmbedContents"
          : stream
            ? "streamGenerateContent?alt=sse"
            : "generateContent";
      return {
        path: `/models/${encodeURIComponent(model)}:${method}`,
        headers: [["x-goog-api-key", apiKey]],
      };
    },
    forwards: [],
    quirks: { outputCaps: standardOutputCaps, asksForUsage: false },
  },
};
