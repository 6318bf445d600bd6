import type { ProviderDialectName } from "@weir/dialects";

/** What bytes a provider's endpoint speaks. */
export type ChatWire = ProviderDialectName;
export type EmbedWire = "openai-embeddings" | "gemini-embeddings";
export type Wire = ChatWire | EmbedWire;

export const isEmbedWire = (wire: Wire): wire is EmbedWire =>
  wire === "openai-embeddings" || wire === "gemini-embeddings";
