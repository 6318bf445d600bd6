import type { CredentialHttp } from "@weir/credentials";
import type { JsonChanges, JsonObject } from "@weir/dialects";
import type { Clock } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { Wire } from "../domain/wire.ts";
import type { Authorizer } from "../ports.ts";

/**
 * One kind of provider. A file of this directory exports `kinds`: the kinds it serves by name; the file is called like its kind. It is
 * found by the name that a configuration uses: adding a kind is adding its file. Wire formats are in @weir/dialects; here is only what
 * differs between those who speak the same one: addresses, headers, quirks.
 */
export interface ProviderKind {
  /** Undefined: the configuration must give one. A function: it depends on what else is configured, which it checks. */
  readonly baseUrl: string | undefined | ((account: Account) => string | undefined);
  /** The settings that it takes: "secret" for what must never be shown. */
  readonly settings?: Readonly<Record<string, "text" | "secret">>;
  /** In order of preference: what comes in another dialect is translated to the first that fits. */
  readonly wires: readonly Wire[] | ((model: string) => readonly Wire[]);
  /** Its name in the price book; undefined: prices come from the configuration only. */
  readonly priceBook: string | undefined;
  /** The same price for each of its models, in place of the book. */
  readonly price?: Price;
  readonly contextWindow?: number;
  readonly maxOutput?: number;
  /** Computed once per model and wire. */
  endpoint(target: EndpointTarget): Endpoint;
  /** Who asks, where that is more than headers of `endpoint`; undefined: those are enough. */
  readonly authorize?: (account: Account, world: AuthorizerWorld) => Authorizer | undefined;
  /** A client's headers that it wants: names in lower case; "anthropic-*" stands for all that begin so. */
  readonly forwards: readonly string[];
  readonly quirks: Quirks;
  /** Answers in this process instead of over HTTP. */
  readonly answer?: (request: LocalRequest) => LocalAnswer;
}

export type ProviderKinds = Readonly<Record<string, ProviderKind>>;

/** What is configured of one provider, as far as its kind has a say in it. */
export interface Account {
  readonly name: string;
  /** "" where none is configured. */
  readonly apiKey: string;
  /** "" where none is configured. */
  readonly region: string;
  /** Undefined: the kind's own. */
  readonly baseUrl: string | undefined;
  /** "" where it is not set. */
  readonly setting: (name: string) => string;
  /** Where clouds' own tools look for credentials. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What authorizers need of the world. */
export interface AuthorizerWorld {
  readonly http: CredentialHttp;
  readonly clock: Clock;
  /** Of the base URL, as requests name it. */
  readonly host: string;
}

export interface EndpointTarget extends Account {
  readonly model: string;
  readonly wire: Wire;
  readonly stream: boolean;
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
  readonly adapt?: (body: JsonObject, wire: Wire, model: string) => JsonObject;
  /** What must be changed in a client's own bytes, the model's name being changed already: undefined takes a member out. */
  readonly splice?: (wire: Wire) => JsonChanges | undefined;
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
/** @throws Error that names the provider and what is missing */
export function required(account: Account, value: string, what: string): string {
  if (value !== "") return value;
  throw new Error(`provider "${account.name}" needs ${what}`);
}

export const standardOutputCaps: Quirks["outputCaps"] = {
  "openai-chat": ["max_completion_tokens", "max_tokens"],
  "openai-responses": ["max_output_tokens"],
  "anthropic-messages": ["max_tokens"],
  "gemini-generate": ["generationConfig.maxOutputTokens"],
};
