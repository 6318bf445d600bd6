import type { Extra, Json, JsonObject, MediaPart, Part, ThinkingPart, ToolResultPart } from "./core.ts";
import { describeDropped, extraOf, fieldsFor, isObject, type Shape, spellingFor, unknownFields } from "./shape.ts";
import { argumentsObject, argumentsText } from "./tool-arguments.ts";

export const NAME = "gemini-generate";

/** Gives ids to function calls, which have none in older models, and finds the call that a function response answers. */
export interface CallIds {
  called(id: string | undefined, name: string): string;
  answered(id: string | undefined, name: string): string;
}

/** Google's JSON takes system_instruction for systemInstruction. The members of one message, spelled as it writes them itself. */
export function camel(object: JsonObject): JsonObject {
  const snake = Object.keys(object).filter((key) => /^[a-z][a-z0-9]*_/.test(key));
  if (snake.length === 0) return object;
  const entries = Object.entries(object).map(
    ([key, value]) =>
      [
        snake.includes(key) ? key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) : key,
        value,
      ] as const,
  );
  return { ...Object.fromEntries(entries), ...unknownFields(object, new Set(snake)) };
}

/** Google's JSON takes a single value where a list is meant. */
export const listOf = (value: Json | undefined): Json[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];

/** The members that are not known. A null says the same as absence. */
export function keepFields(object: JsonObject, known: ReadonlySet<string>): JsonObject | undefined {
  const fields = Object.entries(unknownFields(object, known) ?? {}).filter(([, value]) => value !== null);
  return fields.length === 0 ? undefined : Object.fromEntries(fields);
}

const keep = (part: JsonObject, ...known: string[]): Extra | undefined =>
  extraOf(NAME, keepFields(part, new Set(known)));

export function parseParts(shape: Shape, value: Json | undefined, path: string, ids: CallIds): Part[] {
  return listOf(value).map((part, at) => parsePart(shape, part, `${path}[${at}]`, ids));
}

/** A part of a Content. What only Gemini knows (executable code, its results, server-side tool calls) is kept verbatim. */
export function parsePart(shape: Shape, value: Json, path: string, ids: CallIds): Part {
  const part = camel(shape.object(value, path));
  if (part.functionCall !== undefined) return parseCall(shape, part, `${path}.functionCall`, ids);
  if (part.functionResponse !== undefined) return parseResult(shape, part, `${path}.functionResponse`, ids);
  if (part.inlineData !== undefined || part.fileData !== undefined) return parseMedia(shape, part, path);
  if (typeof part.text !== "string") {
    // A signature may come with nothing else.
    if (typeof part.thoughtSignature === "string" && Object.keys(part).length === 1)
      return { type: "text", text: "", extra: keep(part) };
    return { type: "unknown", dialect: NAME, value: part };
  }
  if (part.thought === true)
    return {
      type: "thinking",
      text: part.text,
      signature: shape.optionalString(part.thoughtSignature, `${path}.thoughtSignature`),
      extra: keep(part, "text", "thought", "thoughtSignature") ?? extraOf(NAME, {}),
    };
  return { type: "text", text: part.text, extra: keep(part, "text", "thought") };
}

function parseCall(shape: Shape, part: JsonObject, path: string, ids: CallIds): Part {
  const call = camel(shape.object(part.functionCall, path));
  const name = shape.string(call.name, `${path}.name`);
  const id = shape.optionalString(call.id, `${path}.id`);
  return {
    type: "tool-call",
    id: ids.called(id, name),
    name,
    arguments: argumentsText(call.args),
    extra: extraOf(NAME, keepFields(part, new Set(["functionCall"])), withoutId(id)),
  };
}

/** Marks an id as our own, not to be shown to Google. */
const withoutId = (id: string | undefined): JsonObject | undefined =>
  id === undefined || id === "" ? { noId: true } : undefined;

function parseResult(shape: Shape, part: JsonObject, path: string, ids: CallIds): ToolResultPart {
  const result = camel(shape.object(part.functionResponse, path));
  const name = shape.string(result.name, `${path}.name`);
  const id = shape.optionalString(result.id, `${path}.id`);
  const response = shape.optionalObject(result.response, `${path}.response`);
  const { text, isError } = response === undefined ? { text: "", isError: false } : textOfResponse(response);
  const parts: Part[] = text === "" ? [] : [{ type: "text", text }];
  for (const [at, inner] of listOf(result.parts).entries()) {
    const media = camel(shape.object(inner, `${path}.parts[${at}]`));
    const known = media.inlineData !== undefined || media.fileData !== undefined;
    parts.push(
      known ? parseMedia(shape, media, `${path}.parts[${at}]`) : { type: "unknown", dialect: NAME, value: media },
    );
  }
  const inner = keepFields(result, new Set(["id", "name", "response", "parts"]));
  const outer = keepFields(part, new Set(["functionResponse"]));
  const fields = inner === undefined ? outer : { ...outer, functionResponse: inner };
  return {
    type: "tool-result",
    id: ids.answered(id, name),
    name,
    parts,
    isError: isError ? true : undefined,
    extra: extraOf(NAME, fields, withoutId(id)),
  };
}

/** `output` and `error` hold what a function gave; without them the whole object does. */
function textOfResponse(response: JsonObject): { text: string; isError: boolean } {
  const [only, ...others] = Object.entries(response);
  if (only !== undefined && others.length === 0 && (only[0] === "output" || only[0] === "error")) {
    const [key, value] = only;
    return { text: typeof value === "string" ? value : JSON.stringify(value), isError: key === "error" };
  }
  return { text: JSON.stringify(response), isError: false };
}

function responseOfText(text: string, isError: boolean): JsonObject {
  if (isError) return { error: text };
  if (text.startsWith("{")) {
    const value = argumentsObject(text);
    const [first, ...others] = Object.keys(value);
    // Only where nothing of the text is lost, spaces and long numbers included.
    const reserved = others.length === 0 && (first === "output" || first === "error");
    if (!reserved && JSON.stringify(value) === text) return value;
  }
  return { output: text };
}

function parseMedia(shape: Shape, part: JsonObject, path: string): MediaPart {
  const inline = part.inlineData !== undefined;
  const place = `${path}.${inline ? "inlineData" : "fileData"}`;
  const data = camel(shape.object(inline ? part.inlineData : part.fileData, place));
  const mediaType = shape.optionalString(data.mimeType, `${place}.mimeType`);
  const name = shape.optionalString(data.displayName, `${place}.displayName`);
  return {
    type: "media",
    kind: kindOf(mediaType),
    mediaType,
    source: inline
      ? { base64: shape.string(data.data, `${place}.data`) }
      : { url: shape.string(data.fileUri, `${place}.fileUri`) },
    name,
    extra: extraOf(
      NAME,
      keepFields(part, new Set(["inlineData", "fileData", "thought"])),
      name === undefined ? undefined : { displayName: true },
    ),
  };
}

function kindOf(mediaType: string | undefined): MediaPart["kind"] {
  const [family] = (mediaType ?? "").split("/");
  return family === "image" || family === "audio" || family === "video" ? family : "file";
}

/** A part as Gemini writes it, except function results; undefined where it has no word for it (then it is named) or nothing to say. */
export function renderPart(part: Part, path: string, dropped: string[]): JsonObject | undefined {
  switch (part.type) {
    case "text": {
      describeDropped(NAME, part.extra, path, dropped);
      const fields = fieldsFor(NAME, part.extra);
      // Empty text is refused, unless it bears a signature.
      return part.text === "" && fields === undefined ? undefined : { ...fields, text: part.text };
    }
    case "refusal":
      return part.text === "" ? undefined : { text: part.text };
    case "thinking":
      return renderThought(part, path, dropped);
    case "media":
      return renderMedia(part, path, dropped);
    case "tool-call": {
      describeDropped(NAME, part.extra, path, dropped);
      const call: JsonObject = { name: part.name, args: argumentsObject(part.arguments) };
      if (spellingFor(NAME, part.extra)?.noId !== true) call.id = part.id;
      return { ...fieldsFor(NAME, part.extra), functionCall: call };
    }
    case "unknown":
      if (part.dialect === NAME) return part.value;
      dropped.push(`${path}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
      return undefined;
    case "tool-result":
      dropped.push(`${path}.tool_result`);
      return undefined;
  }
}

/** Thoughts with their own signature, or none; what other providers sealed stays behind. */
function renderThought(part: ThinkingPart, path: string, dropped: string[]): JsonObject | undefined {
  describeDropped(NAME, part.extra, path, dropped);
  const fields = fieldsFor(NAME, part.extra);
  if (part.redacted !== undefined) dropped.push(`${path}.redacted`);
  if (fields === undefined && part.signature !== undefined) dropped.push(`${path}.signature`);
  if (part.text === "" && (fields === undefined || part.signature === undefined)) return undefined;
  const thought: JsonObject = { ...fields, text: part.text, thought: true };
  if (fields !== undefined && part.signature !== undefined) thought.thoughtSignature = part.signature;
  return thought;
}

/**
 * A function result.
 * @param name the function's, looked up by the caller where the part has none
 * @param mediaInside whether the model takes images in a result; otherwise they follow it as parts of their own
 */
export function renderResult(
  part: ToolResultPart,
  name: string,
  mediaInside: boolean,
  path: string,
  dropped: string[],
): JsonObject[] {
  describeDropped(NAME, part.extra, path, dropped);
  let text = "";
  const media: JsonObject[] = [];
  for (const inner of part.parts) {
    if (inner.type === "text") {
      describeDropped(NAME, inner.extra, path, dropped);
      text += inner.text;
      continue;
    }
    const json = renderPart(inner, path, dropped);
    if (json !== undefined) media.push(json);
  }
  const { functionResponse, ...fields } = fieldsFor(NAME, part.extra) ?? {};
  const result: JsonObject = {
    ...(isObject(functionResponse) ? functionResponse : {}),
    name,
    response: responseOfText(text, part.isError === true),
  };
  if (spellingFor(NAME, part.extra)?.noId !== true) result.id = part.id;
  if (media.length > 0 && mediaInside) result.parts = media;
  return [{ ...fields, functionResponse: result }, ...(mediaInside ? [] : media)];
}

function renderMedia(part: MediaPart, path: string, dropped: string[]): JsonObject | undefined {
  describeDropped(NAME, part.extra, path, dropped);
  const fields = fieldsFor(NAME, part.extra);
  const { source } = part;
  // Only Vertex knows the name of a file.
  const ownName = spellingFor(NAME, part.extra)?.displayName === true && part.name !== undefined;
  const named: JsonObject = ownName ? { displayName: part.name ?? "" } : {};
  if (part.name !== undefined && !ownName) dropped.push(`${path}.name`);
  if ("base64" in source)
    return {
      ...fields,
      inlineData: { ...named, mimeType: part.mediaType ?? DEFAULT_TYPE[part.kind], data: source.base64 },
    };
  if ("url" in source)
    return {
      ...fields,
      fileData: { ...named, mimeType: part.mediaType ?? typeOfUrl(source.url, part.kind), fileUri: source.url },
    };
  // A file of another provider does not exist here.
  dropped.push(`${path}.file_id`);
  return undefined;
}

const DEFAULT_TYPE = { image: "image/jpeg", audio: "audio/wav", video: "video/mp4", file: "application/pdf" } as const;
const TYPE_OF_ENDING: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  webp: "image/webp",
  gif: "image/gif",
  pdf: "application/pdf",
  txt: "text/plain",
  csv: "text/csv",
  html: "text/html",
  md: "text/markdown",
  mp3: "audio/mpeg",
  wav: "audio/wav",
  flac: "audio/flac",
  mp4: "video/mp4",
  mov: "video/quicktime",
  webm: "video/webm",
};

/** Google wants a type, which other dialects do not give for a URL. */
function typeOfUrl(url: string, kind: MediaPart["kind"]): string {
  const ending = /\.([a-z0-9]{2,4})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? "";
  return (Object.hasOwn(TYPE_OF_ENDING, ending) ? TYPE_OF_ENDING[ending] : undefined) ?? DEFAULT_TYPE[kind];
}
