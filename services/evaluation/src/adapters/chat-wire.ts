/** The core's chats as the contract has them, and back: as far as evaluation asks and reads. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { common } from "@weir/contracts";
import type { ChatRequest, ChatResponse, Choice, FinishReason, Message, Part, Role } from "@weir/dialects";

type PartInit = MessageInitShape<typeof common.PartSchema>;

const ROLE: Readonly<Record<Role, common.Role>> = {
  system: common.Role.SYSTEM,
  developer: common.Role.DEVELOPER,
  user: common.Role.USER,
  assistant: common.Role.ASSISTANT,
  tool: common.Role.TOOL,
};

const MEDIA = {
  image: common.MediaPart_Kind.IMAGE,
  audio: common.MediaPart_Kind.AUDIO,
  video: common.MediaPart_Kind.VIDEO,
  file: common.MediaPart_Kind.FILE,
} as const;

const FINISH: Readonly<Record<number, FinishReason>> = {
  [common.FinishReason.STOP]: "stop",
  [common.FinishReason.LENGTH]: "length",
  [common.FinishReason.TOOL_CALLS]: "tool-calls",
  [common.FinishReason.CONTENT_FILTER]: "content-filter",
  [common.FinishReason.REFUSAL]: "refusal",
  [common.FinishReason.PAUSE]: "pause",
};

const TOOL_CHOICE = {
  auto: common.ToolChoice_Mode.AUTO,
  none: common.ToolChoice_Mode.NONE,
  required: common.ToolChoice_Mode.REQUIRED,
  named: common.ToolChoice_Mode.NAMED,
} as const;

/** What only one dialect knows is left out: another model could not be asked with it. */
export function chatToWire(request: ChatRequest): MessageInitShape<typeof common.ChatRequestSchema> {
  const { toolChoice, reasoning, seed } = request;
  return {
    model: request.model,
    messages: request.messages.map(({ role, name = "", parts }) => ({
      role: ROLE[role],
      name,
      parts: parts.flatMap(partToWire),
    })),
    tools: (request.tools ?? []).flatMap((tool) =>
      tool.type === "provider"
        ? []
        : [
            {
              name: tool.name,
              description: tool.description ?? "",
              parametersJson: tool.parameters === undefined ? "" : JSON.stringify(tool.parameters),
              ...given("strict", tool.strict),
            },
          ],
    ),
    ...(toolChoice === undefined
      ? {}
      : {
          toolChoice: { mode: TOOL_CHOICE[toolChoice.mode], name: toolChoice.mode === "named" ? toolChoice.name : "" },
        }),
    ...formatToWire(request),
    ...(reasoning === undefined
      ? {}
      : { reasoning: { effort: reasoning.effort ?? "", ...given("budgetTokens", reasoning.budgetTokens) } }),
    ...given("parallelToolCalls", request.parallelToolCalls),
    ...given("maxOutputTokens", request.maxOutputTokens),
    ...given("temperature", request.temperature),
    ...given("topP", request.topP),
    ...given("topK", request.topK),
    ...given("presencePenalty", request.presencePenalty),
    ...given("frequencyPenalty", request.frequencyPenalty),
    ...(seed === undefined ? {} : { seed: BigInt(seed) }),
    stop: request.stop ?? [],
  };
}

const given = <Name extends string, T>(name: Name, value: T | undefined): { [_ in Name]?: T } =>
  (value === undefined ? {} : { [name]: value }) as { [_ in Name]?: T };

function formatToWire({
  responseFormat: format,
}: ChatRequest): Pick<MessageInitShape<typeof common.ChatRequestSchema>, "responseFormat"> {
  if (format === undefined) return {};
  if (format.type !== "schema")
    return { responseFormat: { kind: common.ResponseFormat_Kind[format.type === "json" ? "JSON" : "TEXT"] } };
  const { name = "", description = "", schema, strict } = format;
  const kind = common.ResponseFormat_Kind.SCHEMA;
  return {
    responseFormat: { kind, name, description, schemaJson: JSON.stringify(schema), ...given("strict", strict) },
  };
}

function partToWire(part: Part): PartInit[] {
  switch (part.type) {
    case "text":
    case "refusal":
      return [{ part: { case: "text", value: { text: part.text } } }];
    case "media": {
      const { kind, mediaType = "", name = "", detail = "", source } = part;
      const from =
        "base64" in source
          ? ({ case: "data", value: new Uint8Array(Buffer.from(source.base64, "base64")) } as const)
          : "url" in source
            ? ({ case: "url", value: source.url } as const)
            : ({ case: "fileId", value: source.fileId } as const);
      return [{ part: { case: "media", value: { kind: MEDIA[kind], mediaType, name, detail, source: from } } }];
    }
    case "tool-call": {
      const { id, name, arguments: text } = part;
      return [{ part: { case: "toolCall", value: { id, name, arguments: text } } }];
    }
    case "tool-result": {
      const { id, name = "", parts, isError = false } = part;
      return [{ part: { case: "toolResult", value: { id, name, parts: parts.flatMap(partToWire), isError } } }];
    }
    case "thinking":
    case "unknown":
      return [];
  }
}

const ROLES = new Map(Object.entries(ROLE).map(([name, role]) => [role, name as Role]));
const MEDIA_KINDS = new Map(Object.entries(MEDIA).map(([name, kind]) => [kind, name as keyof typeof MEDIA]));

/** A typed caller's request, as far as its texts and what steers the answer go. */
export function chatFromWire(request: common.ChatRequest): ChatRequest {
  const { temperature, topP, maxOutputTokens } = request;
  return {
    model: request.model,
    messages: request.messages.map(
      ({ role, parts }): Message => ({ role: ROLES.get(role) ?? "user", parts: parts.flatMap(partFromWire) }),
    ),
    temperature,
    topP,
    maxOutputTokens,
    stop: request.stop,
    stream: false,
  };
}

export const responseFromWire = ({ id, model, createdS, choices }: common.ChatResponse): ChatResponse => ({
  id,
  model,
  createdS: Number(createdS),
  choices: choices.map(
    ({ index, parts, finishReason }): Choice => ({
      index,
      parts: parts.flatMap(partFromWire),
      finishReason: FINISH[finishReason] ?? "error",
    }),
  ),
});

export function partFromWire({ part }: common.Part): Part[] {
  switch (part.case) {
    case "text":
    case "refusal":
      return [{ type: part.case, text: part.value.text }];
    case "toolCall": {
      const { id, name, arguments: text } = part.value;
      return [{ type: "tool-call", id, name, arguments: text }];
    }
    case "toolResult": {
      const { id, name, parts } = part.value;
      return [{ type: "tool-result", id, name, parts: parts.flatMap(partFromWire) }];
    }
    case "media": {
      const { kind, mediaType, source } = part.value;
      if (source.case === undefined) return [];
      const from =
        source.case === "data"
          ? { base64: Buffer.from(source.value).toString("base64") }
          : source.case === "url"
            ? { url: source.value }
            : { fileId: source.value };
      return [{ type: "media", kind: MEDIA_KINDS.get(kind as never) ?? "file", mediaType, source: from }];
    }
    case "thinking":
    case "unknown":
    case undefined:
      return [];
  }
}
