import type { WeirError } from "@weir/kernel";
import type {
  ChatEvent,
  ChatRequest,
  ChatResponse,
  DialectName,
  FinishReason,
  JsonObject,
  ProviderDialectName,
  ToolCalls,
  Usage,
} from "./core.ts";
import type { SseEvent } from "./sse.ts";

/** A translation with the names of what it could not carry ("logprobs", "messages[3].audio"), for the x-weir-dropped header. */
export interface Rendered<T> {
  body: T;
  dropped: string[];
}

/** What a dialect needs to write an answer that came from another one. */
export interface RenderContext {
  /** The request that the client sent, in the core. */
  readonly request: ChatRequest;
  /** For ids where the other side had none; unguessable. */
  readonly requestId: string;
  readonly nowS: number;
}

/** What a provider said when it refused or failed, whatever its shape. */
export interface ProviderFailure {
  readonly error: WeirError;
  /** The provider's own code or type: "insufficient_quota", "overloaded_error", "RESOURCE_EXHAUSTED". */
  readonly code?: string | undefined;
}

/** One provider stream's events, read one after the other. Not shared between streams. */
export interface StreamParser {
  /**
   * @returns the events it holds, in order; none for what carries nothing (pings)
   * @throws WeirError: the provider's in-band error, or provider_bad_response for what cannot be read
   */
  push(event: SseEvent): ChatEvent[];
  /**
   * The provider's bytes are over.
   * @returns what was still open (part-end, finish)
   * @throws WeirError stream_interrupted where the dialect's terminal event never came
   */
  end(): ChatEvent[];
  /** Whether the dialect's terminal event was seen. */
  readonly done: boolean;
}

/** Writes one stream for a client, in its dialect. */
export interface StreamRenderer {
  /** Whole SSE events, or "" where the dialect shows nothing for this event. */
  push(event: ChatEvent): string;
  /** The last events, terminal one included; never shown before the outcome is recorded. `preface` holds what comes before the terminal byte. */
  end(): { preface: string; terminal: string };
  /** What push() had to leave out so far. */
  readonly dropped: readonly string[];
}

/**
 * What a stream's watcher learned while its bytes went by unchanged: the same dialect on both sides.
 * `take` splits what was fed into whole events that may be shown now.
 */
export interface StreamWatcher {
  /**
   * @param chunk bytes as they came, cut anywhere
   * @returns the bytes of whole events that may go to the client now; undefined where there are none. The terminal event (`[DONE]`,
   * `message_stop`, `response.completed`, an in-band error) and all after it are kept back.
   */
  push(chunk: Uint8Array): Uint8Array | undefined;
  /** The provider's bytes are over. */
  end(): WatchedEnd;
  /** True once a content event went by: from then on there is no retry. */
  readonly started: boolean;
  /** True once the terminal event was seen: nothing more is expected. */
  readonly done: boolean;
  /** An in-band error seen so far, also before any content (then the attempt may be retried elsewhere). */
  readonly failure: ProviderFailure | undefined;
  /** Bytes of text, thinking and arguments that went by so far: what a stream that its client leaves is charged by. */
  readonly outputBytes: number;
  /** What the model wrote so far, for counting it; undefined where it was not asked for, or is too much. */
  readonly written: readonly string[] | undefined;
}

export interface WatchedEnd {
  /** The withheld terminal bytes; empty where the stream was cut. */
  terminal: Uint8Array;
  /** The stream was cut, or ended in an in-band error. */
  error: WeirError | undefined;
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
  /** Characters of output that went by, for estimating where no usage came. */
  outputCharacters: number;
  /** What was seen of the provider's own tools, also where no usage came. */
  toolCalls: ToolCalls | undefined;
}

/** Cuts the bytes of a provider's stream into events. One per stream. */
export interface FrameReader {
  /**
   * @param chunk bytes as they came, cut anywhere
   * @throws WeirError provider_bad_response for what cannot be read
   */
  push(chunk: Uint8Array): SseEvent[];
  /** The bytes are over: what was whole without its end. A torn event is dropped; the stream's parser says that it was cut. */
  end(): SseEvent[];
}

export interface WatchOptions {
  /** The client did not ask for the usage event that was asked of the provider; leave it out. */
  readonly hideUsage: boolean;
  /** Keeps what the model writes, in the dialects whose tokens can be counted (OpenAI's). */
  readonly keepText?: boolean | undefined;
}

/** Who was asked: some providers do not repeat it in their answers. */
export interface Answerer {
  readonly model: string;
}

/** What an answer that is passed on as bytes is billed and recorded by. */
export interface Inspected {
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly outputCharacters: number;
  /** Its 200 holds an error in place of an answer. */
  readonly failure?: ProviderFailure | undefined;
}

/**
 * A wire format as far as a provider is asked in it: requests out, answers in. Pure: no clock, no randomness, no IO. Every `parse` checks
 * shapes and throws WeirError with the parameter at fault: invalid_request for a client's input, provider_bad_response for a provider's.
 */
export interface ProviderDialect {
  readonly name: ProviderDialectName;
  renderRequest(request: ChatRequest): Rendered<JsonObject>;
  /** @throws WeirError provider_bad_response; or the provider's own error, where its 200 holds one (a failed response, OpenRouter) */
  parseResponse(body: JsonObject, answerer?: Answerer): ChatResponse;
  readonly inspectResponse?: (body: JsonObject) => Inspected;
  streamParser(answerer?: Answerer): StreamParser;
  /** How its streams are cut into events; undefined: they are server-sent events. */
  readonly frames?: () => FrameReader;
  /** A provider's non-2xx answer (`body` undefined where it was no JSON), in the classes of `reliability`: rate, quota, overload, auth, rejected, error. */
  parseError(status: number, body: JsonObject | undefined, headers: HeaderLookup): ProviderFailure;
}

/** A wire format both ways: clients speak it, too. */
export interface Dialect extends ProviderDialect {
  readonly name: DialectName;
  parseRequest(body: JsonObject): ChatRequest;
  renderResponse(response: ChatResponse, context: RenderContext): Rendered<JsonObject>;
  readonly inspectResponse: (body: JsonObject) => Inspected;
  streamRenderer(context: RenderContext): StreamRenderer;
  streamWatcher(options: WatchOptions): StreamWatcher;
  /** An error body for a client; the status is `error.status`. `requestId` where the dialect has a place for it; `providerCode` (ProviderFailure.code) is shown where the provider rejected the request. */
  renderError(error: WeirError, requestId: string, providerCode?: string): JsonObject;
  /** The in-band error event that ends a stream after its first byte; never `[DONE]`. */
  renderStreamError(error: WeirError, requestId: string): string;
}

export type HeaderLookup = (lowerCaseName: string) => string | undefined;
