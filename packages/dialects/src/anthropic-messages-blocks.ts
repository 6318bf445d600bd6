import { WeirError } from "@weir/kernel";
import type { Extra, Json, JsonObject, MediaPart, Part, ToolResultPart } from "./core.ts";
import { describeDropped, extraOf, fieldsFor, names, type Shape, unknownFields } from "./shape.ts";
import { argumentsObject, argumentsText } from "./tool-arguments.ts";
import { toolCallId } from "./tool-call-id.ts";

export const NAME = "anthropic-messages";

const KNOWN: Readonly<Record<string, ReadonlySet<string>>> = {
  text: names("type text"),
  image: names("type source"),
  document: names("type source title"),
  tool_use: names("type id name input"),
  tool_result: names("type tool_use_id content is_error"),
  thinking: names("type thinking signature"),
  redacted_thinking: names("type data"),
};

const keep = (block: JsonObject, type: string): Extra | undefined => keepFields(block, KNOWN[type] ?? new Set());

/** The members that are not known. A null says the same as absence. */
export function keepFields(object: JsonObject, known: ReadonlySet<string>): Extra | undefined {
  const fields = Object.entries(unknownFields(object, known) ?? {}).filter(([, value]) => value !== null);
  return fields.length === 0 ? undefined : extraOf(NAME, Object.fromEntries(fields));
}

/** `content` of a message or a tool result: text, or a list of blocks. */
export function parseContent(shape: Shape, content: Json | undefined, path: string): Part[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return shape.list(content, path).map((block, at) => parseBlock(shape, block, `${path}[${at}]`));
}

/** A content block as a part. Blocks that only Anthropic knows (server tools, their results, search results) are kept verbatim. */
export function parseBlock(shape: Shape, value: Json, path: string): Part {
  const block = shape.object(value, path);
  const type = shape.string(block.type, `${path}.type`);
  switch (type) {
    case "text":
      return { type: "text", text: shape.string(block.text, `${path}.text`), extra: keep(block, type) };
    case "image":
    case "document":
      return parseMedia(shape, block, type, path) ?? { type: "unknown", dialect: NAME, value: block };
    case "tool_use":
      return {
        type: "tool-call",
        id: shape.string(block.id, `${path}.id`),
        name: shape.string(block.name, `${path}.name`),
        arguments: argumentsText(block.input),
        extra: keep(block, type),
      };
    case "tool_result":
      return {
        type: "tool-result",
        id: shape.string(block.tool_use_id, `${path}.tool_use_id`),
        parts: parseContent(shape, block.content, `${path}.content`),
        isError: shape.optionalBoolean(block.is_error, `${path}.is_error`),
        extra: keep(block, type),
      };
    case "thinking":
      return {
        type: "thinking",
        text: shape.string(block.thinking, `${path}.thinking`),
        signature: shape.optionalString(block.signature, `${path}.signature`),
        extra: keep(block, type) ?? extraOf(NAME, {}),
      };
    case "redacted_thinking":
      return {
        type: "thinking",
        text: "",
        redacted: shape.string(block.data, `${path}.data`),
        extra: keep(block, type) ?? extraOf(NAME, {}),
      };
    default:
      return { type: "unknown", dialect: NAME, value: block };
  }
}

/** Anthropic's ids match [a-zA-Z0-9_-]+. The same id becomes the same one everywhere; others stay different by a hash. */
export const toolUseId = (id: string): string =>
  /^[a-zA-Z0-9_-]+$/.test(id) ? id : `${id.replace(/[^a-zA-Z0-9_-]/g, "_")}_${toolCallId(id, 0, 0).slice(5)}`;

function parseMedia(shape: Shape, block: JsonObject, type: "image" | "document", path: string): MediaPart | undefined {
  const source = shape.object(block.source, `${path}.source`);
  const part = {
    type: "media",
    kind: type === "image" ? "image" : "file",
    name: type === "image" ? undefined : shape.optionalString(block.title, `${path}.title`),
    extra: keep(block, type),
  } as const;
  const mediaType = shape.optionalString(source.media_type, `${path}.source.media_type`);
  switch (shape.optionalString(source.type, `${path}.source.type`) ?? "") {
    case "base64":
      return { ...part, mediaType, source: { base64: shape.string(source.data, `${path}.source.data`) } };
    case "url":
      return { ...part, source: { url: shape.string(source.url, `${path}.source.url`) } };
    case "file":
      return { ...part, source: { fileId: shape.string(source.file_id, `${path}.source.file_id`) } };
    case "text": {
      const data = shape.string(source.data, `${path}.source.data`);
      return {
        ...part,
        mediaType: mediaType ?? "text/plain",
        source: { base64: base64OfText(data) },
      };
    }
    default:
      return undefined;
  }
}

/** A part as a content block of a request; undefined where there is nothing to say, or Anthropic cannot say it (then it is named). */
export function renderBlock(part: Part, path: string, dropped: string[]): JsonObject | undefined {
  switch (part.type) {
    case "text":
      describeDropped(NAME, part.extra, path, dropped);
      // Blank text is refused.
      return part.text.trim() === "" ? undefined : { ...fieldsFor(NAME, part.extra), type: "text", text: part.text };
    case "refusal":
      return part.text.trim() === "" ? undefined : { type: "text", text: part.text };
    case "media":
      return renderMedia(part, path, dropped);
    case "tool-call":
      describeDropped(NAME, part.extra, path, dropped);
      return {
        ...fieldsFor(NAME, part.extra),
        type: "tool_use",
        id: toolUseId(part.id),
        name: part.name,
        input: argumentsObject(part.arguments),
      };
    case "tool-result":
      return renderToolResult(part, path, dropped);
    case "thinking": {
      const fields = fieldsFor(NAME, part.extra);
      // Anthropic checks the seal: thinking without its own one is refused.
      if (fields !== undefined && part.redacted !== undefined)
        return { ...fields, type: "redacted_thinking", data: part.redacted };
      if (fields !== undefined && part.signature !== undefined && part.signature !== "")
        return { ...fields, type: "thinking", thinking: part.text, signature: part.signature };
      dropped.push(`${path}.thinking`);
      return undefined;
    }
    case "unknown":
      if (part.dialect === NAME) return part.value;
      dropped.push(`${path}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
      return undefined;
  }
}

function renderToolResult(part: ToolResultPart, path: string, dropped: string[]): JsonObject {
  describeDropped(NAME, part.extra, path, dropped);
  const block: JsonObject = { ...fieldsFor(NAME, part.extra), type: "tool_result", tool_use_id: toolUseId(part.id) };
  const [only] = part.parts;
  if (part.parts.length === 1 && only?.type === "text" && only.extra === undefined) block.content = only.text;
  else {
    const content: JsonObject[] = [];
    for (const inner of part.parts) {
      const json = renderBlock(inner, path, dropped);
      if (json !== undefined) content.push(json);
    }
    if (content.length > 0) block.content = content;
  }
  if (part.isError !== undefined) block.is_error = part.isError;
  return block;
}

function renderMedia(part: MediaPart, path: string, dropped: string[]): JsonObject | undefined {
  describeDropped(NAME, part.extra, path, dropped);
  const fields = fieldsFor(NAME, part.extra);
  if (part.kind === "image") return { ...fields, type: "image", source: sourceOf(part, "image/png") };
  if (part.kind !== "file") {
    dropped.push(`${path}.${part.kind}`);
    return undefined;
  }
  if ((part.mediaType ?? "").startsWith("image/"))
    return { ...fields, type: "image", source: sourceOf(part, "image/png") };
  const document: JsonObject = { ...fields, type: "document", source: sourceOf(part, "application/pdf") };
  if (part.name !== undefined) document.title = part.name;
  return document;
}

/** Documents may be plain text, which other dialects have as bytes. */
function base64OfText(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function textOfBase64(base64: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    throw new WeirError("invalid_request", "a file's bytes are not base64");
  }
}

const TEXT_TYPE = /^text\/|^application\/(?:.+\+)?(?:json|xml)\b/;

function sourceOf(part: MediaPart, defaultType: string): JsonObject {
  const { source } = part;
  if ("url" in source) return { type: "url", url: source.url };
  if ("fileId" in source) return { type: "file", file_id: source.fileId };
  const mediaType = part.mediaType ?? defaultType;
  // Documents are PDFs or plain text.
  if (part.kind === "file" && TEXT_TYPE.test(mediaType))
    return { type: "text", media_type: "text/plain", data: textOfBase64(source.base64) };
  return { type: "base64", media_type: mediaType, data: source.base64 };
}
