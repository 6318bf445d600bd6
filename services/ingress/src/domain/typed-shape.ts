import { WeirError } from "@weir/kernel";
import { anyTools } from "@weir/pricing";
import type { JsonObject } from "@weir/dialects";
import { type FacadeDialect, type RequestShape, shapeOf } from "./shape.ts";
import { refuseTypedSideDoors } from "./side-doors.ts";
import { type ToolUse, toolUseOf } from "./tool-use.ts";

/** The parts of a typed chat that policy must know. The contract's message has this shape. */
export interface TypedChat {
  readonly model: string;
  readonly messages: readonly { readonly parts: readonly TypedPart[] }[];
  readonly tools: readonly { readonly unknown?: unknown }[];
  readonly maxOutputTokens?: number | undefined;
  readonly n?: number | undefined;
  readonly responseFormat?: unknown;
  readonly user: string;
}

export interface TypedPart {
  readonly part: { readonly case: string | undefined; readonly value?: unknown };
}

interface TypedMedia {
  /** As in the contract: 1 image, 2 audio, 3 video, 4 file. */
  readonly kind: number;
  readonly source: { readonly case: string | undefined; readonly value?: unknown };
}

/** Members of one dialect that travel beside the typed fields. */
export interface TypedExtra {
  readonly dialect: FacadeDialect;
  readonly fields: JsonObject;
}

const IMAGE = 1;
const AUDIO = 2;

/**
 * @param bytes length of the message on the wire
 * @throws WeirError invalid_request, unsupported
 */
export function typedChatShape(
  chat: TypedChat,
  bytes: number,
  stream: boolean,
  extra: TypedExtra | undefined,
): RequestShape {
  if (extra !== undefined) refuseTypedSideDoors(extra.dialect, extra.fields);
  const beside = extra && shapeOf(extra.dialect, { ...extra.fields, model: chat.model }, 0);
  let images = 0;
  let audioBytes = 0;
  let inlineBytes = 0;
  let unbounded: string | undefined = chat.tools.some((tool) => tool.unknown !== undefined) ? "server tool" : undefined;
  const visit = (parts: readonly TypedPart[]): void => {
    for (const { part } of parts) {
      if (part.case === "toolResult") visit((part.value as { parts: readonly TypedPart[] }).parts);
      else if (part.case === "unknown") unbounded ??= "unknown part";
      else if (part.case === "media") {
        const media = part.value as TypedMedia;
        if (media.source.case !== "data" || (media.kind !== IMAGE && media.kind !== AUDIO)) {
          unbounded ??= "remote media";
          continue;
        }
        const { length } = media.source.value as Uint8Array;
        inlineBytes += length;
        if (media.kind === IMAGE) images += 1;
        else audioBytes += length;
      }
    }
  };
  for (const message of chat.messages) visit(message.parts);
  if (chat.maxOutputTokens === 0) {
    throw new WeirError("invalid_request", "max_output_tokens must be at least 1.", { param: "max_output_tokens" });
  }
  return {
    model: chat.model,
    stream,
    outputCap: chat.maxOutputTokens,
    capNames: [],
    choices: chat.n ?? 1,
    textBytes: Math.max(0, bytes - inlineBytes),
    media: { images, audioBytes },
    unbounded: unbounded ?? beside?.unbounded,
    toolUse: typedToolUse(chat),
    premium: beside?.premium,
    tools: chat.tools.length > 0 || beside?.tools === true,
    instructed: chat.tools.length > 0 || chat.responseFormat !== undefined || beside?.instructed === true,
    generates: true,
    endUser: chat.user,
  };
}

/** Tools that travel as their dialect writes them, as in the contract: 1 chat completions, 2 responses, 3 messages, 4 Gemini. */
interface ForeignTool {
  readonly dialect: number;
  readonly json: string;
}

const DIALECTS: Readonly<Record<number, FacadeDialect>> = {
  1: "openai-chat",
  2: "openai-responses",
  3: "anthropic-messages",
  4: "gemini-generate",
};

/** Tools of one dialect; of several at once nobody can serve all, and nothing is known. */
function typedToolUse({ tools }: TypedChat): ToolUse | undefined {
  const foreign = tools.flatMap(({ unknown }) => (unknown === undefined ? [] : [unknown as ForeignTool]));
  const [first] = foreign;
  if (first === undefined) return undefined;
  const dialect = DIALECTS[first.dialect];
  try {
    if (dialect !== undefined && foreign.every((tool) => tool.dialect === first.dialect))
      return toolUseOf(dialect, { tools: foreign.map(({ json }) => JSON.parse(json) as JsonObject) });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { tools: anyTools, unknown: "tool", cappable: false };
}

export interface TypedEmbed {
  readonly model: string;
  readonly user: string;
}

export const typedEmbedShape = (embed: TypedEmbed, bytes: number): RequestShape => ({
  model: embed.model,
  stream: false,
  outputCap: undefined,
  capNames: [],
  choices: 1,
  textBytes: bytes,
  media: { images: 0, audioBytes: 0 },
  unbounded: undefined,
  premium: undefined,
  tools: false,
  instructed: false,
  generates: false,
  endUser: embed.user,
});
