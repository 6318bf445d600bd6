/**
 * What is paid for where the provider did not tell. Policy: with the model's own vocabulary where that is known. Else an estimate for those
 * whose requests nobody holds against a budget (a quarter of the bytes, which is English), and an upper bound for those whose requests
 * are: a token has at least one byte. No estimate exceeds the request's hold.
 */
import type { ChatRequest, Part, ToolCalls, Usage } from "@weir/dialects";
import { type Nanos, nanos } from "@weir/kernel";
import { costOf, FRAMING_TOKENS, type Price, priceAt, versionFor } from "@weir/pricing";
import type { Call } from "../domain/call.ts";
import type { Target } from "../domain/target.ts";
import type { TokenCounter } from "../ports.ts";

/** What a target costs this call's workspace at its time; undefined: unknown. */
export const priceFor = (
  { plan }: Target,
  { workspace, atMs }: Pick<Call, "workspace" | "atMs">,
  nowMs: number,
): Price | undefined => priceAt(plan, workspace, Number(atMs) || nowMs);

/** Zero where the price is unknown: then the result names no price version. */
export const costIn = (price: Price | undefined, usage: Usage | undefined): Nanos =>
  price === undefined || usage === undefined ? nanos(0n) : costOf(usage, price);

export const priceVersion = (price: Price | undefined, usage: Usage | undefined): string =>
  price === undefined ? "" : versionFor(usage, price);

/** What a model read. */
export interface Read {
  readonly texts: readonly string[];
  readonly messages: number;
  /** Beside text: pictures, sound, files. */
  readonly media: boolean;
}

/** What it wrote. */
export interface Said {
  /** Undefined: not at hand, only its size is. */
  readonly texts: readonly string[] | undefined;
  /** At least so many as there are tokens. */
  readonly bytes: number;
  readonly toolCalls?: ToolCalls | undefined;
  /** Its client left: the provider may have sent what nobody read. */
  readonly abandoned?: boolean | undefined;
}

/** https://github.com/openai/openai-cookbook, "How to count tokens": for each message, and for the answer to begin. */
const MESSAGE_TOKENS = 4;
const REPLY_TOKENS = 3;

/** On their way when a client leaves: a few events, and the provider bills them. */
const UNREAD_TOKENS = 12;
const UNREAD_SHARE = 0.005;

/**
 * Counts what a provider did not.
 * @param outputLimit the most output tokens there can be
 */
export async function estimateUsage(
  tokens: TokenCounter,
  target: Target,
  call: Pick<Call, "holdOwner" | "inputBound">,
  read: Read,
  said: Said,
  outputLimit: number,
): Promise<Usage> {
  const held = call.holdOwner !== "";
  const [counted, written] = await Promise.all([
    held && read.media ? undefined : tokens.count(target, read.texts),
    said.texts === undefined ? undefined : tokens.count(target, said.texts),
  ]);
  let inputTokens: number;
  if (counted !== undefined) inputTokens = counted + MESSAGE_TOKENS * read.messages + REPLY_TOKENS;
  else {
    const bytes = bytesOf(read.texts);
    inputTokens = held ? call.inputBound || bytes + FRAMING_TOKENS : Math.ceil(bytes / 4);
  }
  let outputTokens = written ?? (held || said.abandoned === true ? said.bytes : Math.ceil(said.bytes / 4));
  if (said.abandoned === true && written !== undefined)
    outputTokens = Math.ceil(written * (1 + UNREAD_SHARE)) + UNREAD_TOKENS;
  const usage: Usage = {
    inputTokens,
    outputTokens: Math.min(outputTokens, outputLimit),
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    estimated: true,
  };
  return said.toolCalls === undefined ? usage : { ...usage, toolCalls: said.toolCalls };
}

export function bytesOf(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return bytes;
}

/** What was told, with at least the output that was counted. */
export const raisedTo = (told: Usage, counted: Usage): Usage =>
  counted.outputTokens <= told.outputTokens ? told : { ...told, outputTokens: counted.outputTokens, estimated: true };

/** The texts of a request that a model reads, one for each part, without what is no text. */
export function textsOfRequest(request: ChatRequest): string[] {
  const texts = request.messages.flatMap(({ parts }) => textsOfParts(parts));
  for (const tool of request.tools ?? [])
    texts.push(
      tool.type === "function"
        ? `${tool.name} ${tool.description ?? ""} ${JSON.stringify(tool.parameters ?? {})}`
        : JSON.stringify(tool.value),
    );
  return texts;
}

export const textsOfParts = (parts: readonly Part[]): string[] =>
  parts.flatMap((part) => {
    switch (part.type) {
      case "text":
      case "thinking":
      case "refusal":
        return [part.text];
      case "tool-call":
        return [`${part.name} ${part.arguments}`];
      case "tool-result":
        return textsOfParts(part.parts);
      case "unknown":
        return [JSON.stringify(part.value)];
      case "media":
        return [];
    }
  });

export const hasMedia = (parts: readonly Part[]): boolean =>
  parts.some((part) => part.type === "media" || (part.type === "tool-result" && hasMedia(part.parts)));
