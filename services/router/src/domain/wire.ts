import { type EmbeddingsDialectName, embeddingsDialects, type ProviderDialectName } from "@weir/dialects";

/** What bytes a provider's endpoint speaks. */
export type ChatWire = ProviderDialectName;
export type EmbedWire = EmbeddingsDialectName;
export type Wire = ChatWire | EmbedWire;

export const isEmbedWire = (wire: Wire): wire is EmbedWire => wire in embeddingsDialects;
