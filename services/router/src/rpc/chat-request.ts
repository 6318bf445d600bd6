import { common } from "@weir/contracts";
import type {
  ChatRequest,
  Extra,
  Json,
  JsonObject,
  MediaPart,
  Message,
  Part,
  ResponseFormat,
  Tool,
  ToolChoice,
} from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import { dialectName, kindName, modeName, roleName } from "./names.ts";

/**
 * A typed caller's request in the core.
 * @throws WeirError invalid_request naming the field
 */
export function coreRequest(request: common.ChatRequest, stream: boolean): ChatRequest {
  const { reasoning } = request;
  return {
    model: request.model,
    messages: request.messages.map(coreMessage),
    tools: request.tools.length === 0 ? undefined : request.tools.map(coreTool),
    toolChoice: coreToolChoice(request.toolChoice),
    parallelToolCalls: request.parallelToolCalls,
    responseFormat: coreFormat(request.responseFormat),
    maxOutputTokens: request.maxOutputTokens,
    temperature: request.temperature,
    topP: request.topP,
    topK: request.topK,
    stop: request.stop.length === 0 ? undefined : request.stop,
    seed: request.seed === undefined ? undefined : Number(request.seed),
    n: request.n,
    logprobs: request.logprobs,
    topLogprobs: request.topLogprobs,
    presencePenalty: request.presencePenalty,
    frequencyPenalty: request.frequencyPenalty,
    reasoning:
      reasoning === undefined
        ? undefined
        : {
            effort: reasoning.effort === "" ? undefined : reasoning.effort,
            budgetTokens: reasoning.budgetTokens,
            includeThoughts: reasoning.includeThoughts,
          },
    user: request.user === "" ? undefined : request.user,
    stream,
    streamUsage: true,
    extra: coreExtra(request),
  };
}

function coreExtra({ extraJson, extraDialect }: common.ChatRequest): Extra | undefined {
  if (extraJson === "") return undefined;
  return { dialect: dialectName(extraDialect), fields: objectFrom(extraJson, "extra_json") };
}

function coreMessage(message: common.ChatMessage): Message {
  return {
    role: roleName(message.role),
    parts: message.parts.map(corePart),
    name: message.name === "" ? undefined : message.name,
  };
}

function corePart({ part }: common.Part): Part {
  switch (part.case) {
    case "text":
      return { type: "text", text: part.value.text };
    case "media":
      return coreMedia(part.value);
    case "toolCall": {
      const { id, name, arguments: text } = part.value;
      return { type: "tool-call", id, name, arguments: text };
    }
    case "toolResult": {
      const { id, name, parts, isError } = part.value;
      return { type: "tool-result", id, name: name === "" ? undefined : name, parts: parts.map(corePart), isError };
    }
    case "thinking": {
      const { text, signature, redacted } = part.value;
      return { type: "thinking", text, signature: signature || undefined, redacted: redacted || undefined };
    }
    case "refusal":
      return { type: "refusal", text: part.value.text };
    case "unknown": {
      const { dialect, json } = part.value;
      return { type: "unknown", dialect: dialectName(dialect), value: objectFrom(json, "unknown.json") };
    }
    case undefined:
      throw new WeirError("invalid_request", "A part of a message is empty.");
  }
}

function coreMedia(media: common.MediaPart): MediaPart {
  return {
    type: "media",
    kind: kindName(media.kind),
    mediaType: media.mediaType === "" ? undefined : media.mediaType,
    source: coreSource(media),
    name: media.name === "" ? undefined : media.name,
    detail: media.detail === "" ? undefined : media.detail,
  };
}

function coreSource({ source }: common.MediaPart): MediaPart["source"] {
  switch (source.case) {
    case "data":
      return { base64: Buffer.from(source.value).toString("base64") };
    case "url":
      return { url: source.value };
    case "fileId":
      return { fileId: source.value };
    case undefined:
      throw new WeirError("invalid_request", "A media part has no source.");
  }
}

function coreTool(tool: common.Tool): Tool {
  if (tool.unknown !== undefined)
    return {
      type: "provider",
      dialect: dialectName(tool.unknown.dialect),
      value: objectFrom(tool.unknown.json, "tools.unknown.json"),
    };
  return {
    type: "function",
    name: tool.name,
    description: tool.description === "" ? undefined : tool.description,
    parameters: tool.parametersJson === "" ? undefined : objectFrom(tool.parametersJson, "tools.parameters_json"),
    strict: tool.strict,
  };
}

function coreToolChoice(choice: common.ToolChoice | undefined): ToolChoice | undefined {
  if (choice === undefined || choice.mode === common.ToolChoice_Mode.UNSPECIFIED) return undefined;
  const mode = modeName(choice.mode);
  return mode === "named" ? { mode, name: choice.name } : { mode };
}

function coreFormat(format: common.ResponseFormat | undefined): ResponseFormat | undefined {
  switch (format?.kind) {
    case common.ResponseFormat_Kind.TEXT:
      return { type: "text" };
    case common.ResponseFormat_Kind.JSON:
      return { type: "json" };
    case common.ResponseFormat_Kind.SCHEMA:
      return {
        type: "schema",
        name: format.name === "" ? undefined : format.name,
        description: format.description === "" ? undefined : format.description,
        schema: objectFrom(format.schemaJson, "response_format.schema_json"),
        strict: format.strict,
      };
    case common.ResponseFormat_Kind.UNSPECIFIED:
    case undefined:
      return undefined;
  }
}

function objectFrom(text: string, param: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new WeirError("invalid_request", `${param} is not valid JSON.`, { param, cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new WeirError("invalid_request", `${param} is not a JSON object.`, { param });
  return value;
}
