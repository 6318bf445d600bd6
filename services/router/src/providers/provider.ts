import type { JsonObject } from "@weir/dialects";
import type { Price } from "@weir/pricing";
import type { Wire } from "../domain/wire.ts";

/**
 * One kind of provider. A file of this directory exports `kinds`: the kinds it serves by name; the file is called like its kind. It is
 * found by the name that a configuration uses: adding a kind is adding its file. Wire formats are in @weir/dialects; here is only what
 * differs between those who speak the same one: addresses, headers, quirks.
 */
export interface ProviderKind {
  /** Undefined: the configuration must give one. */
  readonly baseUrl: string | undefined;
  /** In order of preference: what comes in another dialect is translated to the first that fits. */
  readonly wires: readonly Wire[];
  /** Its name in the price book; undefined: prices come from the configuration only. */
  readonly priceBook: string | undefined;
  /** The same price for each of its models, in place of the book. */
  readonly price?: Price;
  readonly contextWindow?: number;
  readonly maxOutput?: number;
  /** Computed once per model and wire. */
  endpoint(target: EndpointTarget): Endpoint;
  /** A client's headers that it wants: names in lower case; "anthropic-*" stands for all that begin so. */
  readonly forwards: readonly string[];
  readonly quirks: Quirks;
  /** Answers in this process instead of over HTTP. */
  readonly answer?: (request: LocalRequest) => LocalAnswer;
}

export type ProviderKinds = Readonly<Record<string, ProviderKind>>;

export interface EndpointTarget {
  readonly model: string;
  readonly wire: Wire;
  readonly stream: boolean;
  /** "" where none is configured. */
  readonly apiKey: string;
}

export interface Endpoint {
  /** Below the base URL: "/chat/completions". */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface Quirks {
  /** Members of the request that cap the output and are honoured, per wire; the first is set where the client set none. */
  readonly outputCaps: Partial<Record<Wire, readonly string[]>>;
  /** Whether an OpenAI chat stream tells its usage only when asked by `stream_options.include_usage`. */
  readonly asksForUsage: boolean;
  /** Changes a request that was rendered for it from another dialect; a client's own bytes are not touched. */
  readonly adapt?: (body: JsonObject, wire: Wire) => JsonObject;
}

export interface LocalRequest {
  readonly wire: Wire;
  readonly model: string;
  readonly stream: boolean;
  readonly body: Uint8Array;
}

export type LocalAnswer =
  | { readonly status: number; readonly body: string }
  /** Server-sent events, each whole. */
  | { readonly status: 200; readonly events: readonly string[] };

/** The members by which the wires cap their output. */
export const standardOutputCaps: Quirks["outputCaps"] = {
  "openai-chat": ["max_completion_tokens", "max_tokens"],
  "openai-responses": ["max_output_tokens"],
  "anthropic-messages": ["max_tokens"],
  "gemini-generate": ["generationConfig.maxOutputTokens"],
};
