import type { Extra, Json, JsonObject, MediaPart, Part } from "./core.ts";
import { audioFormatOfType, sourceOfUrl, typeOfAudioFormat, urlOfSource } from "./openai-media.ts";
import { describeDropped, extraOf, fieldsFor, isObject, type Shape, unknownFields } from "./shape.ts";

const NAME = "openai-chat";

const keep = (object: JsonObject, ...known: string[]): Extra | undefined =>
  extraOf(NAME, unknownFields(object, new Set(["type", ...known])));

/** `content` of a message: text, or a list of parts. */
export function parseContent(shape: Shape, content: Json | undefined, path: string): Part[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return shape.list(content, path).map((part, at) => parsePart(shape, part, `${path}[${at}]`));
}

export function parsePart(shape: Shape, value: Json, path: string): Part {
  // Mistral's lists may hold bare strings.
  if (typeof value === "string") return { type: "text", text: value };
  const part = shape.object(value, path);
  switch (typeof part.type === "string" ? part.type : "") {
    case "text":
    case "input_text":
    case "output_text":
      return { type: "text", text: shape.string(part.text, `${path}.text`), extra: keep(part, "text") };
    case "refusal":
      return { type: "refusal", text: shape.string(part.refusal, `${path}.refusal`) };
    case "image_url":
      return parseImage(shape, part, path);
    case "input_audio": {
      const audio = shape.object(part.input_audio, `${path}.input_audio`);
      const format = shape.optionalString(audio.format, `${path}.input_audio.format`);
      return {
        type: "media",
        kind: "audio",
        mediaType: format === undefined ? undefined : typeOfAudioFormat(format),
        source: { base64: shape.string(audio.data, `${path}.input_audio.data`) },
        extra: keep(part, "input_audio"),
      };
    }
    case "file":
      return parseFile(shape, part, path);
    case "video_url": {
      const url = isObject(part.video_url) ? part.video_url.url : part.video_url;
      return {
        type: "media",
        kind: "video",
        ...sourceOfUrl(shape.string(url, `${path}.video_url.url`)),
        extra: keep(part, "video_url"),
      };
    }
    case "thinking":
      // Mistral: a list of text parts.
      if (Array.isArray(part.thinking))
        return {
          type: "thinking",
          text: part.thinking
            .map((inner) => (isObject(inner) && typeof inner.text === "string" ? inner.text : ""))
            .join(""),
          extra: extraOf(NAME, undefined, { part: true }),
        };
      return { type: "unknown", dialect: NAME, value: part };
    default:
      return { type: "unknown", dialect: NAME, value: part };
  }
}

function parseImage(shape: Shape, part: JsonObject, path: string): MediaPart {
  const image = part.image_url;
  const url = shape.string(isObject(image) ? image.url : image, `${path}.image_url.url`);
  const detail = isObject(image) ? shape.optionalString(image.detail, `${path}.image_url.detail`) : undefined;
  return { type: "media", kind: "image", ...sourceOfUrl(url), detail, extra: keep(part, "image_url") };
}

function parseFile(shape: Shape, part: JsonObject, path: string): MediaPart {
  const file = shape.object(part.file, `${path}.file`);
  const name = shape.optionalString(file.filename, `${path}.file.filename`);
  const id = shape.optionalString(file.file_id, `${path}.file.file_id`);
  const extra = keep(part, "file");
  if (id !== undefined) return { type: "media", kind: "file", source: { fileId: id }, name, extra };
  const data = shape.string(file.file_data, `${path}.file.file_data`);
  const source = /^(?:data|https?):/.test(data)
    ? sourceOfUrl(data)
    : { mediaType: undefined, source: { base64: data } };
  return { type: "media", kind: "file", ...source, name, extra };
}

/**
 * Parts of a system, user or tool message as `content` has them. What it cannot hold is named in `dropped`.
 * @returns text where there is one plain text
 */
export function renderContent(parts: readonly Part[], path: string, dropped: string[]): string | JsonObject[] {
  const rendered: JsonObject[] = [];
  for (const [at, part] of parts.entries()) {
    const json = renderPart(part, `${path}.content[${at}]`, dropped);
    if (json !== undefined) rendered.push(json);
  }
  const [only] = rendered;
  if (only === undefined) return "";
  const plain = rendered.length === 1 && only.type === "text" && Object.keys(only).length === 2;
  return plain && typeof only.text === "string" ? only.text : rendered;
}

export function renderPart(part: Part, path: string, dropped: string[]): JsonObject | undefined {
  switch (part.type) {
    case "text":
      describeDropped(NAME, part.extra, path, dropped);
      return { ...fieldsFor(NAME, part.extra), type: "text", text: part.text };
    case "refusal":
      return { type: "refusal", refusal: part.text };
    case "media":
      describeDropped(NAME, part.extra, path, dropped);
      return renderMedia(part, path, dropped);
    case "thinking":
      if (part.extra?.dialect === NAME && part.extra.spelling?.part === true)
        return { type: "thinking", thinking: [{ type: "text", text: part.text }] };
      dropped.push(`${path}.thinking`);
      return undefined;
    case "unknown":
      if (part.dialect === NAME) return part.value;
      dropped.push(`${path}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
      return undefined;
    case "tool-call":
    case "tool-result":
      dropped.push(`${path}.${part.type}`);
      return undefined;
  }
}

function renderMedia(part: MediaPart, path: string, dropped: string[]): JsonObject | undefined {
  const fields = fieldsFor(NAME, part.extra);
  const { source } = part;
  if (part.kind === "image") {
    const url = urlOfSource(part, "image/png");
    if (url !== undefined) {
      const image: JsonObject = part.detail === undefined ? { url } : { url, detail: part.detail };
      return { ...fields, type: "image_url", image_url: image };
    }
  } else if (part.kind === "audio" && "base64" in source) {
    const format = audioFormatOfType(part.mediaType ?? "audio/wav");
    return { ...fields, type: "input_audio", input_audio: { data: source.base64, format } };
  } else if (part.kind === "video") {
    const url = urlOfSource(part, "video/mp4");
    if (url !== undefined) return { ...fields, type: "video_url", video_url: { url } };
  } else if (part.kind === "file") {
    const file: JsonObject = part.name === undefined ? {} : { filename: part.name };
    if ("fileId" in source) return { ...fields, type: "file", file: { ...file, file_id: source.fileId } };
    if ("base64" in source) {
      // Without a name OpenAI refuses the file's bytes.
      const data = `data:${part.mediaType ?? "application/pdf"};base64,${source.base64}`;
      return { ...fields, type: "file", file: { filename: part.name ?? "file.pdf", file_data: data } };
    }
    return { ...fields, type: "file", file: { ...file, file_data: source.url } };
  }
  dropped.push(`${path}.${part.kind}`);
  return undefined;
}
