import type { Extra, Json, JsonObject, MediaPart, Part, ToolResultPart } from "./core.ts";
import { toolUseId } from "./anthropic-messages-blocks.ts";
import type { Family } from "./bedrock-converse-models.ts";
import { describeDropped, extraOf, isObject, type Shape } from "./shape.ts";
import { argumentsObject, argumentsText } from "./tool-arguments.ts";
import { toolCallId } from "./tool-call-id.ts";

export const NAME = "bedrock-converse";

/** Claude's seals are the same wherever Claude is served, so thinking that it sealed is of its own dialect. */
const SEALED: Extra = { dialect: "anthropic-messages", fields: {} };

/** A content block of an answer as a part. */
export function parseBlock(shape: Shape, value: Json, path: string): Part {
  const block = shape.object(value, path);
  if (typeof block.text === "string") return { type: "text", text: block.text };
  // What Bedrock calls by itself (Nova's own tools) is no call for the client.
  if (isObject(block.toolUse) && block.toolUse.type !== "server_tool_use") {
    const called = block.toolUse;
    return {
      type: "tool-call",
      id: shape.string(called.toolUseId, `${path}.toolUse.toolUseId`),
      name: shape.string(called.name, `${path}.toolUse.name`),
      arguments: argumentsText(called.input),
    };
  }
  if (isObject(block.reasoningContent))
    return parseReasoning(shape, block.reasoningContent, `${path}.reasoningContent`);
  if (isObject(block.citationsContent)) return parseCited(block.citationsContent);
  if (isObject(block.image)) {
    const media = parseImage(block.image);
    if (media !== undefined) return media;
  }
  return { type: "unknown", dialect: NAME, value: block };
}

function parseReasoning(shape: Shape, reasoning: JsonObject, path: string): Part {
  if (typeof reasoning.redactedContent === "string")
    return { type: "thinking", text: "", redacted: textOfBlob(reasoning.redactedContent), extra: SEALED };
  const said = shape.object(reasoning.reasoningText, `${path}.reasoningText`);
  const signature = shape.optionalString(said.signature, `${path}.reasoningText.signature`);
  return {
    type: "thinking",
    text: shape.optionalString(said.text, `${path}.reasoningText.text`) ?? "",
    signature,
    ...(signature === undefined ? {} : { extra: SEALED }),
  };
}

// oxlint-disable-next-line no-control-regex -- what a byte can be
const LATIN = /^[\u0000-\u00ff]*$/;

/** Blobs are base64 in JSON; what Anthropic calls `data` is text. */
function textOfBlob(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return base64;
  }
}

function parseCited({ content, citations }: JsonObject): Part {
  const texts = Array.isArray(content)
    ? content.filter(isObject).map(({ text }) => (typeof text === "string" ? text : ""))
    : [];
  return {
    type: "text",
    text: texts.join(""),
    extra: extraOf(NAME, citations === undefined ? undefined : { citations }),
  };
}

function parseImage({ format, source }: JsonObject): MediaPart | undefined {
  if (!isObject(source) || typeof source.bytes !== "string" || typeof format !== "string") return undefined;
  return { type: "media", kind: "image", mediaType: `image/${format}`, source: { base64: source.bytes } };
}

/** What rendering of one request's blocks shares. */
export interface BlockContext {
  readonly family: Family;
  readonly dropped: string[];
  /** Documents must have names, each another. */
  readonly documents: Set<string>;
}

/**
 * A part as content blocks of a request: none where Converse cannot say it (then it is named as dropped) or there is nothing to say; a
 * mark for caching follows its block.
 */
export function renderBlocks(part: Part, path: string, context: BlockContext): JsonObject[] {
  const block = renderBlock(part, path, context);
  if (block === undefined) return [];
  const point = context.family.caches ? cachePointOf("extra" in part ? part.extra : undefined) : undefined;
  return point === undefined ? [block] : [block, point];
}

/** Anthropic's mark for caching, which clients of other dialects write, too. */
export function cachePointOf(extra: Extra | undefined): JsonObject | undefined {
  const control = extra?.fields.cache_control;
  if (!isObject(control)) return undefined;
  return { cachePoint: { type: "default", ...(control.ttl === "1h" ? { ttl: "1h" } : {}) } };
}

/** Names what of a part's fields stays behind; a mark for caching does not. */
function describe(extra: Extra | undefined, path: string, { dropped, family }: BlockContext): void {
  const names: string[] = [];
  describeDropped(NAME, extra, path, names);
  dropped.push(...names.filter((name) => !(family.caches && name.endsWith(".cache_control"))));
}

function renderBlock(part: Part, path: string, context: BlockContext): JsonObject | undefined {
  const { dropped, family } = context;
  switch (part.type) {
    case "text":
    case "refusal":
      if (part.type === "text") describe(part.extra, path, context);
      // Blank text is refused.
      return part.text.trim() === "" ? undefined : { text: part.text };
    case "media":
      describe(part.extra, path, context);
      return renderMedia(part, path, context);
    case "tool-call":
      describe(part.extra, path, context);
      return {
        toolUse: { toolUseId: callId(part.id, family), name: part.name, input: argumentsObject(part.arguments) },
      };
    case "tool-result":
      return renderToolResult(part, path, context);
    case "thinking": {
      const own = part.extra?.dialect === "anthropic-messages" && family.seals;
      if (own && part.redacted !== undefined && LATIN.test(part.redacted))
        return { reasoningContent: { redactedContent: btoa(part.redacted) } };
      if (own && part.signature !== undefined && part.signature !== "")
        return { reasoningContent: { reasoningText: { text: part.text, signature: part.signature } } };
      dropped.push(`${path}.thinking`);
      return undefined;
    }
    case "unknown":
      if (part.dialect === NAME) return part.value;
      dropped.push(`${path}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
      return undefined;
  }
}

/** Bedrock takes the ids that its models make; others become the same one everywhere. */
function callId(id: string, family: Family): string {
  if (family.name === "claude") return shortened(toolUseId(id));
  return /^[a-zA-Z0-9_.:-]+$/.test(id) ? shortened(id) : toolCallId(id, 0, 0);
}

const shortened = (id: string): string => (id.length <= 64 ? id : toolCallId(id, 0, 0));

function renderToolResult(part: ToolResultPart, path: string, context: BlockContext): JsonObject {
  describe(part.extra, path, context);
  const content: JsonObject[] = [];
  for (const inner of part.parts) {
    const block = renderBlock(inner, path, context);
    if (block !== undefined) content.push(block);
  }
  const result: JsonObject = { toolUseId: callId(part.id, context.family), content };
  // Others than these refuse the member.
  if (part.isError !== undefined && (context.family.resultStatus || part.isError))
    result.status = part.isError ? "error" : "success";
  return { toolResult: result };
}

const IMAGES: Readonly<Record<string, string>> = { jpg: "jpeg", jpeg: "jpeg", png: "png", gif: "gif", webp: "webp" };
const DOCUMENTS: Readonly<Record<string, string>> = {
  "application/pdf": "pdf",
  "text/csv": "csv",
  "application/msword": "doc",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
  "application/vnd.ms-excel": "xls",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
  "text/html": "html",
  "text/markdown": "md",
};
const VIDEOS: Readonly<Record<string, string>> = {
  "video/mp4": "mp4",
  "video/quicktime": "mov",
  "video/x-matroska": "mkv",
  "video/webm": "webm",
  "video/x-flv": "flv",
  "video/mpeg": "mpeg",
  "video/x-ms-wmv": "wmv",
  "video/3gpp": "three_gp",
};
/** How base64 of the usual formats begins, for media without a type. */
const STARTS: readonly (readonly [start: string, type: string])[] = [
  ["iVBORw0KGgo", "image/png"],
  ["/9j/", "image/jpeg"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"],
  ["JVBERi0", "application/pdf"],
];

function typeOf({ mediaType, source, kind }: MediaPart): string {
  if (mediaType !== undefined) return mediaType.replace(/;.*$/, "").trim().toLowerCase();
  const start = "base64" in source ? STARTS.find(([beginning]) => source.base64.startsWith(beginning)) : undefined;
  const named = "url" in source ? /\.([a-z0-9]{2,5})$/i.exec(source.url)?.[1]?.toLowerCase() : undefined;
  if (named !== undefined && Object.hasOwn(IMAGES, named)) return `image/${named}`;
  return start?.[1] ?? (kind === "image" ? "image/png" : kind === "video" ? "video/mp4" : "application/pdf");
}

/** Bytes, or an object in S3: Bedrock fetches nothing from elsewhere. */
function sourceOf({ source }: MediaPart): JsonObject | undefined {
  if ("base64" in source) return { bytes: source.base64 };
  if ("url" in source && source.url.startsWith("s3://")) return { s3Location: { uri: source.url } };
  return undefined;
}

function renderMedia(part: MediaPart, path: string, context: BlockContext): JsonObject | undefined {
  const source = sourceOf(part);
  const type = typeOf(part);
  if (source !== undefined) {
    if (type.startsWith("image/")) {
      const format = IMAGES[type.slice(6)];
      if (format !== undefined) return { image: { format, source } };
    } else if (part.kind === "video") {
      const format = VIDEOS[type];
      if (format !== undefined) return { video: { format, source } };
    } else if (part.kind === "audio") {
      return { audio: { format: type.replace(/^audio\/(?:x-)?/, "").replace(/^mpeg$/, "mp3"), source } };
    } else if (part.kind === "file") {
      const format = DOCUMENTS[type] ?? (/^text\/|json|xml/.test(type) ? "txt" : undefined);
      if (format !== undefined)
        return { document: { format, name: documentName(part.name, context.documents), source } };
    }
  }
  context.dropped.push(`${path}.${part.kind}`);
  return undefined;
}

/** Letters, digits, single spaces, hyphens, parentheses and brackets. */
function documentName(given: string | undefined, taken: Set<string>): string {
  const plain = (given ?? "")
    .replaceAll(/[^\p{L}\p{N}\s()[\]-]+/gu, " ")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 180);
  const base = plain === "" ? "document" : plain;
  let name = base;
  for (let count = 2; taken.has(name); count += 1) name = `${base} ${count}`;
  taken.add(name);
  return name;
}
