import type { Extra, Json, JsonObject, MediaPart, Part, ThinkingPart, ToolCallPart } from "./core.ts";
import { argumentsOf } from "./openai-chat-request.ts";
import { audioFormatOfType, sourceOfUrl, typeOfAudioFormat, urlOfSource } from "./openai-media.ts";
import {
  describeDropped,
  extraOf,
  fieldsFor,
  isObject,
  names,
  type Shape,
  spellingFor,
  unknownFields,
} from "./shape.ts";

export const NAME = "openai-responses";
const CALL_KNOWN = names("type call_id name arguments");
const REASONING_KNOWN = names("type summary content encrypted_content");

const keep = (object: JsonObject, known: string, spelling?: JsonObject): Extra | undefined =>
  extraOf(NAME, unknownFields(object, names("type", known)), spelling);

/** `content` of a message, or `output` of a function call: text, or a list of parts. */
export function parseContent(shape: Shape, content: Json | undefined, path: string): Part[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return [{ type: "text", text: content }];
  return shape
    .list(content, path)
    .map((part, at) => parsePart(shape, shape.object(part, `${path}[${at}]`), `${path}[${at}]`));
}

function parsePart(shape: Shape, part: JsonObject, path: string): Part {
  switch (typeof part.type === "string" ? part.type : "") {
    case "input_text":
    case "output_text":
    case "text":
      return { type: "text", text: shape.string(part.text, `${path}.text`), extra: textExtra(part) };
    case "refusal":
      return { type: "refusal", text: shape.string(part.refusal, `${path}.refusal`) };
    case "input_image": {
      const id = shape.optionalString(part.file_id, `${path}.file_id`);
      const source =
        id === undefined ? sourceOfUrl(shape.string(part.image_url, `${path}.image_url`)) : { source: { fileId: id } };
      const detail = shape.optionalString(part.detail, `${path}.detail`);
      return { type: "media", kind: "image", ...source, detail, extra: keep(part, "image_url file_id detail") };
    }
    case "input_file":
      return parseFile(shape, part, path);
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
    default:
      return { type: "unknown", dialect: NAME, value: part };
  }
}

/** Log probabilities are the choice's in the core; here they stand with their text. */
function textExtra(part: JsonObject): Extra | undefined {
  const annotations = Array.isArray(part.annotations) && part.annotations.length === 0 ? "annotations" : "";
  const { logprobs } = part;
  return keep(part, `text logprobs ${annotations}`, logprobs === undefined ? undefined : { logprobs });
}

function parseFile(shape: Shape, part: JsonObject, path: string): MediaPart {
  const name = shape.optionalString(part.filename, `${path}.filename`);
  const extra = keep(part, "filename file_id file_url file_data");
  const id = shape.optionalString(part.file_id, `${path}.file_id`);
  if (id !== undefined) return { type: "media", kind: "file", source: { fileId: id }, name, extra };
  const url = shape.optionalString(part.file_url, `${path}.file_url`);
  if (url !== undefined) return { type: "media", kind: "file", source: { url }, name, extra };
  const data = shape.string(part.file_data, `${path}.file_data`);
  const source = data.startsWith("data:") ? sourceOfUrl(data) : { source: { base64: data } };
  return { type: "media", kind: "file", ...source, name, extra };
}

export function parseFunctionCall(shape: Shape, item: JsonObject, path: string): ToolCallPart {
  return {
    type: "tool-call",
    id: shape.string(item.call_id, `${path}.call_id`),
    name: shape.string(item.name, `${path}.name`),
    arguments: argumentsOf(shape, item.arguments, `${path}.arguments`),
    extra: callExtra(item),
  };
}

/** The id and status of an item are its place in a stored conversation, nothing another dialect could carry. */
export function callExtra(item: JsonObject): Extra {
  const { id, status, ...fields } = unknownFields(item, CALL_KNOWN) ?? {};
  return { dialect: NAME, fields, spelling: itemOf(id, status) };
}

const itemOf = (id: Json | undefined, status: Json | undefined): JsonObject => {
  const item: JsonObject = {};
  if (id !== undefined) item.id = id;
  if (status !== undefined) item.status = status;
  return { item };
};

/** A reasoning item: its summary (or its text, where a server shows it) under the seal of `encrypted_content`. */
export function parseReasoning(item: JsonObject): ThinkingPart {
  const { id, status, ...fields } = unknownFields(item, REASONING_KNOWN) ?? {};
  const summary = textsOf(item.summary);
  const texts = summary.length > 0 ? summary : textsOf(item.content);
  const spelling: JsonObject = itemOf(id, status);
  if (item.summary !== undefined) spelling.summary = item.summary;
  if (item.content !== undefined) spelling.content = item.content;
  return {
    type: "thinking",
    text: texts.join(SUMMARY_GAP),
    signature: typeof item.encrypted_content === "string" ? item.encrypted_content : undefined,
    extra: { dialect: NAME, fields, spelling },
  };
}

export const SUMMARY_GAP = "\n\n";

const textsOf = (list: Json | undefined): string[] =>
  Array.isArray(list) ? list.map((part) => (isObject(part) && typeof part.text === "string" ? part.text : "")) : [];

/** Only this dialect's own thinking can be given back to it: the seal is checked. */
export const isOwnThinking = (part: ThinkingPart): boolean => part.extra?.dialect === NAME;

/** @param id the item's, where the part has none of its own; "" to leave it out, as requests may */
export function renderReasoning(part: ThinkingPart, id: string): JsonObject {
  const spelling = spellingFor(NAME, part.extra) ?? {};
  const texts = textsOf(spelling.summary);
  // The parts of the summary as they were, unless the text was changed since.
  const whole =
    texts.join(SUMMARY_GAP) === part.text ||
    (texts.length === 0 && textsOf(spelling.content).join(SUMMARY_GAP) === part.text);
  const own: JsonObject = { ...(id === "" ? {} : { id }), ...(isObject(spelling.item) ? spelling.item : {}) };
  const item: JsonObject = { ...fieldsFor(NAME, part.extra), type: "reasoning", ...own };
  if (whole && Array.isArray(spelling.summary)) item.summary = spelling.summary;
  else item.summary = part.text === "" ? [] : [{ type: "summary_text", text: part.text }];
  if (whole && spelling.content !== undefined) item.content = spelling.content;
  if (part.signature !== undefined && isOwnThinking(part)) item.encrypted_content = part.signature;
  return item;
}

/** @param id the item's, where the part has none of its own; undefined to leave it out, as requests may */
export function renderFunctionCall(part: ToolCallPart, id: string | undefined, status: string | undefined): JsonObject {
  const spelling = spellingFor(NAME, part.extra);
  const item: JsonObject = { ...fieldsFor(NAME, part.extra), type: "function_call" };
  if (id !== undefined) item.id = id;
  if (status !== undefined) item.status = status;
  return {
    ...item,
    ...(isObject(spelling?.item) ? spelling.item : {}),
    call_id: part.id,
    name: part.name,
    arguments: part.arguments,
  };
}

/** A part of what a user or a tool says; what it cannot be is named in `dropped`. */
export function renderInputPart(part: Part, path: string, dropped: string[]): JsonObject | undefined {
  switch (part.type) {
    case "text":
      describeDropped(NAME, part.extra, path, dropped);
      return { ...fieldsFor(NAME, part.extra), type: "input_text", text: part.text };
    case "media":
      describeDropped(NAME, part.extra, path, dropped);
      return renderMedia(part, path, dropped);
    case "unknown":
      if (part.dialect === NAME) return part.value;
      dropped.push(`${path}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
      return undefined;
    case "refusal":
      return { type: "input_text", text: part.text };
    case "thinking":
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
    const image: JsonObject = { ...fields, type: "input_image", detail: part.detail ?? "auto" };
    if ("fileId" in source) return { ...image, file_id: source.fileId };
    const url = urlOfSource(part, "image/png");
    if (url !== undefined) return { ...image, image_url: url };
  } else if (part.kind === "audio" && "base64" in source) {
    const format = audioFormatOfType(part.mediaType ?? "audio/wav");
    return { ...fields, type: "input_audio", input_audio: { data: source.base64, format } };
  } else if (part.kind === "file") {
    const file: JsonObject = { ...fields, type: "input_file" };
    if (part.name !== undefined) file.filename = part.name;
    if ("fileId" in source) return { ...file, file_id: source.fileId };
    if ("url" in source) return { ...file, file_url: source.url };
    const data = `data:${part.mediaType ?? "application/pdf"};base64,${source.base64}`;
    return { ...file, filename: part.name ?? "file.pdf", file_data: data };
  }
  dropped.push(`${path}.${part.kind}`);
  return undefined;
}

/** A part of what the assistant said. */
export function renderOutputPart(part: Part & { type: "text" | "refusal" }): JsonObject {
  if (part.type === "refusal") return { type: "refusal", refusal: part.text };
  const spelling = spellingFor(NAME, part.extra);
  const rendered: JsonObject = {
    annotations: [],
    ...fieldsFor(NAME, part.extra),
    type: "output_text",
    text: part.text,
  };
  if (spelling?.logprobs !== undefined) rendered.logprobs = spelling.logprobs;
  return rendered;
}
