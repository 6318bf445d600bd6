/**
 * What a request may have its provider run, beside its model. Policy: a tool that is not known here has no price that is known here, so a
 * budget refuses it.
 */
import type { JsonObject } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { ToolBound } from "@weir/pricing";
import type { FacadeDialect } from "./shape.ts";

export interface ToolUse {
  readonly tools: ToolBound;
  /** A kind of tool that nobody here knows. */
  readonly unknown: string | undefined;
  /** It states no limit of calls, and has a member for one: OpenAI's `max_tool_calls`. */
  readonly cappable: boolean;
}

/** A limit of calls for a request that has to be bounded and states none. */
export const DEFAULT_TOOL_CALLS = 10;

const NO_TOOLS: readonly JsonObject[] = [];

type Draft = { -readonly [Name in keyof ToolBound]: ToolBound[Name] } & { unknown: string | undefined };

type Visit = (draft: Draft, type: string, tool: JsonObject) => void;

/** @returns undefined: nothing that is paid for by the call */
export function toolUseOf(dialect: FacadeDialect, body: JsonObject): ToolUse | undefined {
  const tools = Array.isArray(body["tools"]) ? body["tools"] : NO_TOOLS;
  // One search for each request, whether the model always searches or was asked to.
  const searches = dialect === "openai-chat" && (body["web_search_options"] ?? null) !== null;
  if (tools.length === 0 && !searches) return undefined;
  const draft: Draft = {
    calls: 0,
    webSearch: false,
    previewSearch: false,
    fileSearch: false,
    other: false,
    codeSessions: 0,
    unknown: undefined,
  };
  const visit = VISITS[dialect];
  for (const tool of tools) {
    if (typeof tool !== "object" || tool === null || Array.isArray(tool)) continue;
    const type = tool["type"];
    visit(draft, typeof type === "string" ? type : "", tool);
  }
  const { unknown, ...bound } = draft;
  if (searches) {
    bound.previewSearch = true;
    if (!bound.webSearch) bound.calls = 1;
  }
  const counted = bound.webSearch || bound.previewSearch || bound.fileSearch || bound.other;
  if (!counted && bound.codeSessions === 0 && unknown === undefined) return undefined;
  const stated = dialect === "openai-responses" ? callsIn(body["max_tool_calls"], "max_tool_calls") : undefined;
  if (stated !== undefined) bound.calls = stated;
  return {
    tools: bound,
    unknown,
    cappable: counted && stated === undefined && dialect === "openai-responses",
  };
}

function callsIn(value: unknown, param: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 0xffff_ffff) return value;
  throw new WeirError("invalid_request", `"${param}" must be a whole number of at least 1.`, { param });
}

/** They run at the caller's, or cost tokens only. */
const FREE_OF_OPENAI: ReadonlySet<string> = new Set([
  "function",
  "custom",
  "mcp",
  "local_shell",
  "apply_patch",
  "computer",
  "computer_use_preview",
  "namespace",
  "tool_search",
]);

const GIGABYTES: Readonly<Record<string, number>> = { "1g": 1, "4g": 4, "16g": 16, "64g": 64 };

/** Of a container that is made for the request; one that is there already is paid for by whoever made it, at least once. */
function containersOf(container: unknown): number {
  if (typeof container !== "object" || container === null || !("memory_limit" in container)) return 1;
  const { memory_limit: limit } = container;
  return typeof limit === "string" ? (GIGABYTES[limit] ?? 64) : 1;
}

function openAiTool(draft: Draft, type: string, tool: JsonObject): void {
  if (FREE_OF_OPENAI.has(type)) return;
  if (type.startsWith("web_search_preview")) draft.previewSearch = true;
  else if (type === "web_search" || /^web_search_\d/.test(type)) draft.webSearch = true;
  else if (type === "file_search") draft.fileSearch = true;
  else if (type === "image_generation") draft.other = true;
  else if (type === "code_interpreter") draft.codeSessions += containersOf(tool["container"]);
  else if (type === "shell") {
    const environment = tool["environment"];
    const local =
      typeof environment !== "object" || environment === null || Reflect.get(environment, "type") === "local";
    if (!local) draft.codeSessions += containersOf(environment);
  } else draft.unknown ??= type || "tool";
}

/** Groq's, and what others offer on OpenAI's chat completions. */
function chatTool(draft: Draft, type: string, tool: JsonObject): void {
  if (type === "function" || type === "custom" || (type === "" && tool["function"] !== undefined)) return;
  if (type === "browser_search" || type === "web_search") draft.webSearch = true;
  else if (type === "code_interpreter") draft.codeSessions += 1;
  else draft.unknown ??= type || "tool";
}

/** Named with the day of their version: web_search_20250305. Searches state their own limit each. */
function anthropicTool(draft: Draft, type: string, tool: JsonObject): void {
  if (type === "" || type === "custom") return;
  if (/^(?:web_fetch|bash|text_editor|computer|memory|tool_search_tool|mcp_toolset)/.test(type)) return;
  if (type.startsWith("code_execution")) draft.codeSessions = 1;
  else if (type.startsWith("web_search")) {
    const uses = callsIn(tool["max_uses"], "tools.max_uses");
    const unlimited = uses === undefined || (draft.webSearch && draft.calls === 0);
    draft.calls = unlimited ? 0 : draft.calls + uses;
    draft.webSearch = true;
  } else draft.unknown ??= type;
}

const FREE_OF_GEMINI: ReadonlySet<string> = new Set([
  "functionDeclarations",
  "function_declarations",
  "codeExecution",
  "code_execution",
  "urlContext",
  "url_context",
  "computerUse",
  "computer_use",
  "fileSearch",
  "file_search",
]);

/** A tool is a member of its entry; maps are paid for once a request. */
function geminiTool(draft: Draft, _type: string, tool: JsonObject): void {
  for (const name of Object.keys(tool)) {
    if (FREE_OF_GEMINI.has(name)) continue;
    if (/^google_?search(?:_?retrieval)?$/i.test(name)) draft.webSearch = true;
    else if (/^google_?maps$/i.test(name)) {
      draft.other = true;
      if (!draft.webSearch) draft.calls = 1;
    } else draft.unknown ??= name;
  }
  if (draft.webSearch) draft.calls = 0;
}

const VISITS: Readonly<Record<FacadeDialect, Visit>> = {
  "openai-chat": chatTool,
  "openai-responses": openAiTool,
  "anthropic-messages": anthropicTool,
  "gemini-generate": geminiTool,
  "openai-embeddings": () => undefined,
};
