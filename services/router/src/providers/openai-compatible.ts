import type { Json, JsonObject } from "@weir/dialects";
import type { Wire } from "../domain/wire.ts";
import { type Endpoint, type EndpointTarget, type ProviderKind, type ProviderKinds } from "./provider.ts";

interface Preset {
  readonly baseUrl?: string;
  readonly priceBook?: string;
  /** The members that it honours as a cap on the output, the preferred one first. Default: max_tokens, which all of them know. */
  readonly caps?: readonly string[];
  /** False: it tells its usage at the end of every stream and refuses `stream_options`. */
  readonly asksForUsage?: boolean;
  /** False: it knows no `developer` role. */
  readonly developerRole?: boolean;
  /** Members of OpenAI's request that it refuses. */
  readonly refuses?: readonly string[];
  readonly embeddings?: boolean;
}

/** Those who speak OpenAI's chat dialect elsewhere, with what is different there. A new one is a new line. */
const presets: Readonly<Record<string, Preset>> = {
  "openai-compatible": { embeddings: true },
  vllm: { embeddings: true, caps: ["max_completion_tokens", "max_tokens"] },
  ollama: { baseUrl: "http://127.0.0.1:11434/v1", embeddings: true },
  groq: {
    baseUrl: "https://api.groq.com/openai/v1",
    priceBook: "groq",
    caps: ["max_completion_tokens", "max_tokens"],
    refuses: ["logprobs", "top_logprobs"],
  },
  together: { baseUrl: "https://api.together.xyz/v1", priceBook: "together", embeddings: true },
  deepseek: { baseUrl: "https://api.deepseek.com/v1", priceBook: "deepseek" },
  xai: {
    baseUrl: "https://api.x.ai/v1",
    priceBook: "x-ai",
    caps: ["max_completion_tokens", "max_tokens"],
    developerRole: true,
  },
  openrouter: { baseUrl: "https://openrouter.ai/api/v1", priceBook: "openrouter", developerRole: true },
  // Text Generation Inference by the chat that it has beside /generate: the model's own template is applied there, not here.
  tgi: {},
  huggingface: { baseUrl: "https://router.huggingface.co/v1" },
};

const MAX_COMPLETION = "max_completion_tokens";

function kindOf(preset: Preset): ProviderKind {
  const caps = preset.caps ?? ["max_tokens"];
  const wires: Wire[] = preset.embeddings === true ? ["openai-chat", "openai-embeddings"] : ["openai-chat"];
  const dropped = new Set(preset.refuses);
  return {
    baseUrl: preset.baseUrl,
    wires,
    priceBook: preset.priceBook,
    endpoint: ({ wire, apiKey }: EndpointTarget): Endpoint => ({
      path: wire === "openai-embeddings" ? "/embeddings" : "/chat/completions",
      // A server of one's own often wants none.
      headers: apiKey === "" ? [] : [["authorization", `Bearer ${apiKey}`]],
    }),
    forwards: ["http-referer", "x-title"],
    quirks: {
      outputCaps: { "openai-chat": caps },
      asksForUsage: preset.asksForUsage ?? true,
      adapt: (body) => adapted(body, caps, dropped, preset.developerRole ?? false),
    },
  };
}

function adapted(
  body: JsonObject,
  caps: readonly string[],
  dropped: ReadonlySet<string>,
  developerRole: boolean,
): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    if (dropped.has(name)) continue;
    if (name === MAX_COMPLETION && !caps.includes(MAX_COMPLETION)) result["max_tokens"] = value;
    else if (name === "messages" && !developerRole && Array.isArray(value)) result[name] = value.map(withSystemRole);
    else result[name] = value;
  }
  return result;
}

function withSystemRole(message: Json): Json {
  const isDeveloper =
    typeof message === "object" && message !== null && !Array.isArray(message) && message["role"] === "developer";
  return isDeveloper ? { ...message, role: "system" } : message;
}

export const kinds: ProviderKinds = Object.fromEntries(
  Object.entries(presets).map(([name, preset]) => [name, kindOf(preset)]),
);
