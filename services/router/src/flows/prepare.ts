import {
  type Dialect,
  type DialectName,
  type Json,
  type JsonObject,
  type ProviderDialect,
  type ProviderDialectName,
  spliceJson,
} from "@weir/dialects";
import type { ChatRequest } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { Call, ChatInput, RawChat } from "../domain/call.ts";
import { answerLimit } from "../domain/target.ts";
import { type ChatWire, isEmbedWire } from "../domain/wire.ts";
import type { RoutedTarget } from "../ports.ts";
import { hasMedia, type Read, textsOfRequest } from "./usage.ts";

export type Dialects = Readonly<Record<DialectName, Dialect>>;
export type ProviderDialects = Readonly<Record<ProviderDialectName, ProviderDialect>>;

/** A request as one target gets it. */
export interface Prepared {
  readonly wire: ChatWire;
  readonly body: Uint8Array;
  /** The client's dialect, where it is the provider's, too: bytes go both ways unchanged. */
  readonly same: Dialect | undefined;
  /** Usage was asked of the provider though the client did not ask to see it. */
  readonly hideUsage: boolean;
  readonly dropped: readonly string[];
}

type Capped = Pick<Call, "model" | "outputCap" | "statedCaps" | "toolCallCap">;

/**
 * One client's request for all the targets it may go to. Whatever has to be parsed is parsed once, and only if a target needs it.
 */
export class Preparation {
  readonly #dialects: Dialects;
  readonly #wires: ProviderDialects;
  readonly #input: ChatInput;
  readonly #model: string;
  readonly #cap: number;
  readonly #statedCaps: readonly string[];
  readonly #toolCallCap: number;
  readonly #stream: boolean;
  #json: JsonObject | undefined;
  #core: ChatRequest | undefined;

  constructor(
    { dialects, wires }: { readonly dialects: Dialects; readonly wires: ProviderDialects },
    input: ChatInput,
    call: Capped,
    stream: boolean,
  ) {
    this.#dialects = dialects;
    this.#wires = wires;
    this.#input = input;
    this.#model = call.model;
    this.#cap = call.outputCap;
    this.#statedCaps = call.statedCaps;
    this.#toolCallCap = call.toolCallCap;
    this.#stream = stream;
  }

  /** The request in the core. @throws WeirError invalid_request */
  get core(): ChatRequest {
    const input = this.#input;
    this.#core ??= input.kind === "typed" ? input.request : this.#parsedBy(this.#dialects[input.dialect], input);
    return this.#core;
  }

  /** How many answers were asked for. */
  get answers(): number {
    const input = this.#input;
    if (input.kind === "typed") return input.request.n ?? 1;
    const name = input.dialect === "gemini-generate" ? "generationConfig.candidateCount" : "n";
    const asked = mentions(input.body, name) ? memberOf(this.#parsed(input), name) : undefined;
    return typeof asked === "number" ? Math.max(1, Math.ceil(asked)) : 1;
  }

  /** The most output tokens that all answers together can have: what an estimate must not exceed, as the hold does not. */
  outputLimit(target: RoutedTarget): number {
    return this.answers * answerLimit(this.#cap, target);
  }

  /** What a model reads, for counting; the whole body where it is not one that we understand though its provider does. */
  get read(): Read {
    try {
      const { core } = this;
      const media = core.messages.some(({ parts }) => hasMedia(parts));
      return { texts: textsOfRequest(core), messages: core.messages.length, media };
    } catch (error) {
      if (this.#input.kind === "raw" && error instanceof WeirError)
        return { texts: [textOf(this.#input.body)], messages: 0, media: true };
      throw error;
    }
  }

  /** @throws WeirError invalid_request, unsupported */
  for(target: RoutedTarget): Prepared {
    const input = this.#input;
    if (input.kind === "raw" && target.wires.includes(input.dialect)) return this.#spliced(input, target);
    const wire = target.wires.find((one) => !isEmbedWire(one));
    if (wire === undefined || isEmbedWire(wire))
      throw new WeirError("unsupported", `${target.provider}/${target.model} does not chat.`, { param: "model" });
    return this.#translated(wire, target);
  }

  /** The client's own bytes, with only what policy and routing change. */
  #spliced(input: RawChat, target: RoutedTarget): Prepared {
    const wire = input.dialect;
    let changes: Record<string, string | undefined> | undefined;
    // Gemini has the model in its path.
    if (target.model !== this.#model && wire !== "gemini-generate") changes = { model: JSON.stringify(target.model) };
    if (this.#cap > 0) changes = this.#capped(input, target.outputCaps[wire] ?? [], changes);
    if (this.#toolCallCap > 0 && wire === "openai-responses")
      (changes ??= {})["max_tool_calls"] = String(this.#toolCallCap);
    let hideUsage = false;
    if (this.#stream && wire === "openai-chat") {
      hideUsage = !this.#asksForUsage(input);
      if (hideUsage && target.asksForUsage) (changes ??= {})["stream_options.include_usage"] = "true";
    }
    const own = target.splice?.(wire);
    if (own !== undefined) changes = { ...changes, ...own };
    const body = changes === undefined ? input.body : spliceJson(input.body, changes);
    return { wire, body, same: this.#dialects[wire], hideUsage, dropped: [] };
  }

  /** A cap the client set stays where it is within policy's; each that it set higher is lowered; one is set where it set none. */
  #capped(
    input: RawChat,
    names: readonly string[],
    changes?: Record<string, string | undefined>,
  ): Record<string, string | undefined> | undefined {
    const [preferred] = names;
    // Where it is known what the body states, it need not be parsed for that.
    if (preferred === undefined || names.some((name) => this.#statedCaps.includes(name))) return changes;
    const cap = this.#cap;
    let capped = false;
    for (const name of names) {
      const asked = mentions(input.body, name) ? memberOf(this.#parsed(input), name) : undefined;
      if (asked === undefined || asked === null) continue;
      capped = true;
      if (typeof asked !== "number" || asked > cap) (changes ??= {})[name] = String(cap);
    }
    if (!capped) (changes ??= {})[preferred] = String(cap);
    return changes;
  }

  #asksForUsage(input: RawChat): boolean {
    return (
      mentions(input.body, "stream_options") && memberOf(this.#parsed(input), "stream_options.include_usage") === true
    );
  }

  #translated(wire: ChatWire, target: RoutedTarget): Prepared {
    const core = this.core;
    const asked = core.maxOutputTokens;
    const cap = this.#cap;
    const request: ChatRequest = {
      ...core,
      model: target.model,
      stream: this.#stream,
      streamUsage: target.asksForUsage,
      maxOutputTokens: cap > 0 ? Math.min(asked ?? cap, cap) : asked,
    };
    const { body, dropped } = this.#wires[wire].renderRequest(request);
    const adapted = target.adapt === undefined ? body : target.adapt(body, wire, target.model);
    return { wire, body: Buffer.from(JSON.stringify(adapted)), same: undefined, hideUsage: false, dropped };
  }

  #parsedBy(dialect: Dialect, input: RawChat): ChatRequest {
    const json = this.#parsed(input);
    // Gemini's clients name the model in the path.
    return dialect.parseRequest(dialect.name === "gemini-generate" ? { ...json, model: this.#model } : json);
  }

  #parsed(input: RawChat): JsonObject {
    this.#json ??= parseObject(input.body);
    return this.#json;
  }
}

/** @throws WeirError invalid_request */
export function parseObject(body: Uint8Array): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(textOf(body)) as Json;
  } catch (cause) {
    throw new WeirError("invalid_request", "The body is not valid JSON.", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new WeirError("invalid_request", "The body is not a JSON object.");
  return value;
}

export const textOf = (bytes: Uint8Array): string => bufferOf(bytes).toString("utf8");

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Whether a member's name stands anywhere: a search in native code, so that most bodies need not be parsed for what they do not have. */
function mentions(body: Uint8Array, name: string): boolean {
  const dot = name.lastIndexOf(".");
  const last = dot === -1 ? name : name.slice(dot + 1);
  // A name may be written with escapes ("max\u005ftokens"); then it has to be parsed to be seen.
  const buffer = bufferOf(body);
  return buffer.includes(`"${last}"`) || buffer.includes("\\u");
}

function memberOf(body: JsonObject, path: string): Json | undefined {
  let at: Json | undefined = body;
  for (const name of path.split("."))
    at = typeof at === "object" && at !== null && !Array.isArray(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  return at;
}
