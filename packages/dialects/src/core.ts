/**
 * The typed core that every dialect parses to and renders from. It says what at least two dialects can say; what only one knows stays
 * in `extra` (fields) or in an `unknown` part, and comes back out where that same dialect is rendered.
 */

/** What clients speak, and some providers, too. */
export type DialectName = "openai-chat" | "openai-responses" | "anthropic-messages" | "gemini-generate";

/** What providers speak: those, and what no client of Weir does. */
export type ProviderDialectName = DialectName | "mistral-chat" | "bedrock-converse" | "cohere-chat";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** Fields that the core does not know, of the dialect they came from. */
export interface Extra {
  readonly dialect: ProviderDialectName;
  readonly fields: JsonObject;
  /**
   * How the dialect wrote what the core does carry ({ max_tokens: true } and not max_completion_tokens), for writing it the same way
   * again. It is no field of its own: never reported as dropped.
   */
  readonly spelling?: JsonObject | undefined;
}

export type Role = "system" | "developer" | "user" | "assistant" | "tool";

export interface TextPart {
  type: "text";
  text: string;
  /** cache_control, annotations, citations, … */
  extra?: Extra | undefined;
}

export interface MediaPart {
  type: "media";
  kind: "image" | "audio" | "video" | "file";
  /** "image/png"; undefined where the dialect does not say it (a URL). */
  mediaType?: string | undefined;
  source: { base64: string } | { url: string } | { fileId: string };
  name?: string | undefined;
  detail?: string | undefined;
  extra?: Extra | undefined;
}

export interface ToolCallPart {
  type: "tool-call";
  /** Made up (deterministically) where the dialect has none, as Gemini may. */
  id: string;
  name: string;
  /** JSON text as the model wrote it; it may be invalid. */
  arguments: string;
  extra?: Extra | undefined;
}

export interface ToolResultPart {
  type: "tool-result";
  id: string;
  /** The tool's name where known; looked up from the call of the same id when a dialect needs it. */
  name?: string | undefined;
  parts: Part[];
  isError?: boolean | undefined;
  extra?: Extra | undefined;
}

export interface ThinkingPart {
  type: "thinking";
  text: string;
  /**
   * The provider's seal (Anthropic signature, Gemini thoughtSignature, Responses encrypted_content): only its own dialect may carry it.
   * `extra.dialect` says which that is, so a sealed part always has an `extra`.
   */
  signature?: string | undefined;
  /** Encrypted thinking in place of text. */
  redacted?: string | undefined;
  extra?: Extra | undefined;
}

export interface RefusalPart {
  type: "refusal";
  text: string;
}

/** A part only one dialect knows (server tool use, web search results, executable code, …), verbatim. */
export interface UnknownPart {
  type: "unknown";
  dialect: ProviderDialectName;
  value: JsonObject;
}

export type Part = TextPart | MediaPart | ToolCallPart | ToolResultPart | ThinkingPart | RefusalPart | UnknownPart;

export interface Message {
  role: Role;
  parts: Part[];
  name?: string | undefined;
  extra?: Extra | undefined;
}

export interface FunctionTool {
  type: "function";
  name: string;
  description?: string | undefined;
  /** JSON Schema of the arguments. */
  parameters?: JsonObject | undefined;
  strict?: boolean | undefined;
  extra?: Extra | undefined;
}

/** A tool the provider runs itself, verbatim. */
export interface ProviderTool {
  type: "provider";
  dialect: DialectName;
  value: JsonObject;
}

export type Tool = FunctionTool | ProviderTool;

export type ToolChoice = { mode: "auto" | "none" | "required" } | { mode: "named"; name: string };

export type ResponseFormat =
  | { type: "text" }
  | { type: "json" }
  | {
      type: "schema";
      name?: string | undefined;
      description?: string | undefined;
      schema: JsonObject;
      strict?: boolean | undefined;
    };

export interface Reasoning {
  /** "none" | "minimal" | "low" | "medium" | "high" | …: the providers' own words. */
  effort?: string | undefined;
  budgetTokens?: number | undefined;
  includeThoughts?: boolean | undefined;
}

export interface ChatRequest {
  model: string;
  messages: Message[];
  tools?: Tool[] | undefined;
  toolChoice?: ToolChoice | undefined;
  parallelToolCalls?: boolean | undefined;
  responseFormat?: ResponseFormat | undefined;
  maxOutputTokens?: number | undefined;
  temperature?: number | undefined;
  topP?: number | undefined;
  topK?: number | undefined;
  stop?: string[] | undefined;
  seed?: number | undefined;
  n?: number | undefined;
  logprobs?: boolean | undefined;
  topLogprobs?: number | undefined;
  presencePenalty?: number | undefined;
  frequencyPenalty?: number | undefined;
  reasoning?: Reasoning | undefined;
  user?: string | undefined;
  stream: boolean;
  /** The client asked to see usage on the stream (openai-chat's stream_options.include_usage); other dialects always show it. */
  streamUsage?: boolean | undefined;
  /** Top-level fields of the source dialect that the core does not know. */
  extra?: Extra | undefined;
}

export type FinishReason = "stop" | "length" | "tool-calls" | "content-filter" | "refusal" | "pause" | "error";

/** Totals include their parts: input >= cachedInput + cacheWrite, output >= reasoning. Dialects that count otherwise convert. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  reasoningTokens: number;
  /** Sound among the input and the output, where the provider counts it apart (it may be priced apart). */
  audioInputTokens?: number | undefined;
  audioOutputTokens?: number | undefined;
  /** Among cacheWriteTokens: written to be kept for an hour, which is dearer (Anthropic's ephemeral_1h_input_tokens). */
  cacheWriteLongTokens?: number | undefined;
  /** Pictures and video among the input and the output, where the provider counts them apart. */
  imageInputTokens?: number | undefined;
  imageOutputTokens?: number | undefined;
  /** What the provider ran by itself and bills by the call; undefined: nothing. */
  toolCalls?: ToolCalls | undefined;
  /** Answered at the rates of batches (OpenAI's flex and batch, Anthropic's batch). */
  batch?: boolean | undefined;
  /** Counted by Weir because the provider gave none. */
  estimated: boolean;
}

/** Calls of a provider's own tools that are paid for beside tokens. */
export interface ToolCalls {
  readonly webSearches: number;
  /** By OpenAI's web_search_preview, which has a price of its own. */
  readonly previewSearches: number;
  readonly fileSearches: number;
  /** Containers for running code, in units of the smallest one. */
  readonly codeSessions: number;
  /** Maps, pictures and whatever has no name here. */
  readonly others: number;
}

export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes?: number[] | undefined;
  top?: TokenLogprob[] | undefined;
}

export interface Choice {
  index: number;
  parts: Part[];
  finishReason: FinishReason;
  stopSequence?: string | undefined;
  logprobs?: TokenLogprob[] | undefined;
  extra?: Extra | undefined;
}

export interface ChatResponse {
  id: string;
  model: string;
  /** Seconds since 1970. */
  createdS: number;
  choices: Choice[];
  usage?: Usage | undefined;
  extra?: Extra | undefined;
}

/**
 * One step of a streamed answer. Within a choice, parts are numbered from 0; each is started, added to and ended; parts of different
 * numbers may be open at once (parallel tool calls). `start` comes first, `finish` once per choice, `usage` at most once and after
 * that replaced by a later one. The end of the stream is not an event: see StreamParser.end.
 */
export type ChatEvent =
  | { type: "start"; id: string; model: string; createdS: number; extra?: Extra | undefined }
  | { type: "part-start"; choice: number; index: number; part: Part }
  | {
      type: "part-delta";
      choice: number;
      index: number;
      /** More text, thinking, refusal or arguments. */
      text: string;
      /** More of a thinking part's signature. */
      signature?: string | undefined;
      logprobs?: TokenLogprob[] | undefined;
      /** Fields that join those of the part: citations, a thoughtSignature, … Lists grow, other values are replaced. */
      extra?: Extra | undefined;
    }
  | { type: "part-end"; choice: number; index: number }
  | {
      type: "finish";
      choice: number;
      reason: FinishReason;
      stopSequence?: string | undefined;
      extra?: Extra | undefined;
    }
  | { type: "usage"; usage: Usage };
