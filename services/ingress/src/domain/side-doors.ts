/**
 * Members of a body that somebody behind Weir would obey, and that are the operator's to say: which provider, which model, in which region, with
 * whose credentials, at which address. A body is passed on as it came, so they are refused by name, for every key: policy has decided about
 * `model` and about nothing else. Fails closed for other spellings, as there are providers that do not tell `Model` from `model` (Go's JSON).
 */
import type { JsonObject } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { FacadeDialect } from "./shape.ts";

const names = (text: string): string[] => text.split(" ");

/** In lower case without separators: `api_key`, `apiKey` and `Api-Key` are one. */
const EVERYWHERE: readonly string[] = [
  // Credentials and addresses, as LiteLLM and its like take them from a body.
  "apikey apibase apitype apiurl apiversion baseurl endpoint authorization organization orgid virtualkey",
  "awsaccesskeyid awssecretaccesskey awssessiontoken awsregionname awsbedrockruntimeendpoint",
  "vertexproject vertexlocation vertexcredentials azureadtoken azureendpoint deploymentid",
  // What is laid over the request behind us.
  "headers extraheaders defaultheaders extrabody extraquery litellmparams userconfig",
  // OpenRouter's, LiteLLM's and Vercel's choice of who serves it, and with which model.
  "provider providers provideroptions models modellist modelgroup route routing preset",
  "fallbacks contextwindowfallbacks contentpolicyfallbacks customllmprovider targets mockresponse",
].flatMap(names);

/** Where the provider computes is what rules about regions are about. */
const BY_DIALECT: Readonly<Record<FacadeDialect, readonly string[]>> = {
  "openai-chat": [],
  "openai-responses": [],
  "openai-embeddings": [],
  "anthropic-messages": ["inferencegeo"],
  "gemini-generate": [],
};

/** What policy reads, as it is spelled: another spelling of it would be read by others only. */
const READ: readonly string[] = [
  "model stream n messages input contents instructions system tools functions user",
  "max_tokens max_completion_tokens max_output_tokens generationConfig metadata safety_identifier",
  "service_tier speed plugins background previous_response_id conversation prompt container",
  "mcp_servers cachedContent web_search_options response_format text output_format",
  "output_config",
].flatMap(names);

/** Usual members that lead nowhere: looked at no closer, as most requests have nothing else. */
const USUAL: readonly string[] = [
  "temperature top_p top_k stop stop_sequences seed stream_options tool_choice parallel_tool_calls reasoning_effort",
  "reasoning thinking store frequency_penalty presence_penalty logprobs top_logprobs logit_bias verbosity truncation include",
  "encoding_format dimensions modalities audio prediction safetySettings toolConfig systemInstruction cache_control",
].flatMap(names);

const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

const readAs = new Map(READ.map((name) => [plain(name), name]));
const known: ReadonlySet<string> = new Set([...READ, ...USUAL]);

const refused = Object.fromEntries(
  Object.entries(BY_DIALECT).map(([dialect, own]) => [dialect, new Set([...EVERYWHERE, ...own])]),
) as unknown as Readonly<Record<FacadeDialect, ReadonlySet<string>>>;

const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);

/** @throws WeirError unsupported: it is refused rather than left out, as its sender relies on it */
export function refuseSideDoors(dialect: FacadeDialect, body: JsonObject): void {
  for (const name in body) {
    if (known.has(name)) continue;
    const meant = plain(name);
    if (refused[dialect].has(meant) && !isNothing(body[name])) {
      const message = `"${name.slice(0, 64)}" is not taken from a request: providers, routes and credentials are set by Weir's operator.`;
      throw new WeirError("unsupported", message, { param: name.slice(0, 64) });
    }
    const read = readAs.get(meant);
    if (read !== undefined)
      throw new WeirError("invalid_request", `"${name.slice(0, 64)}" must be spelled "${read}".`, { param: read });
  }
}

/** For tests: every name that is refused in a dialect, in lower case without separators. */
export const sideDoorsOf = (dialect: FacadeDialect): readonly string[] => [...EVERYWHERE, ...BY_DIALECT[dialect]];

/** A typed request has fields of its own for these: set beside them they would stand above what policy decided by. */
const OF_TYPED: ReadonlySet<string> = new Set(
  [
    "model stream n messages input contents instructions system tools functions",
    "max_tokens max_completion_tokens max_output_tokens generationConfig user safety_identifier",
  ].flatMap(names),
);

/** @throws WeirError for members that a typed request must not set beside its fields */
export function refuseTypedSideDoors(dialect: FacadeDialect, extra: JsonObject): void {
  refuseSideDoors(dialect, extra);
  for (const name in extra) {
    if (!OF_TYPED.has(name)) continue;
    throw new WeirError("invalid_request", `"${name}" has a field of its own.`, { param: `extra_json.${name}` });
  }
}
