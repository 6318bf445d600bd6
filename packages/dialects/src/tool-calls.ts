import type { Json, JsonObject, ToolCalls, Usage } from "./core.ts";
import { isObject } from "./shape.ts";

/**
 * Calls of tools that a provider runs by itself and bills by the call, as each dialect tells them: nowhere are they all in the usage. What
 * runs for the price of its tokens alone (fetching a page, MCP, Gemini's code) is not counted.
 */
export type MutableCalls = { -readonly [Name in keyof ToolCalls]: number };

export const noCalls = (): MutableCalls => ({
  webSearches: 0,
  previewSearches: 0,
  fileSearches: 0,
  codeSessions: 0,
  others: 0,
});

/** The usage with the calls, where there are any: most usages stay without. */
export function withCalls<U extends Usage | undefined>(usage: U, calls: ToolCalls | undefined): U {
  return usage === undefined || calls === undefined || !hasAny(calls) ? usage : { ...usage, toolCalls: calls };
}

export const hasAny = (calls: ToolCalls): boolean =>
  calls.webSearches + calls.previewSearches + calls.fileSearches + calls.codeSessions + calls.others > 0;

const objectsIn = (value: Json | undefined): JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : []);

/** Memory of a container in gigabytes: what its price is a multiple of. */
const GIGABYTES: Readonly<Record<string, number>> = { "1g": 1, "4g": 4, "16g": 16, "64g": 64 };

/**
 * Of a whole response of OpenAI's. It repeats the request's tools, which tell what a search and a container cost.
 * A search opens pages for no fee; a container is paid for once, however often code is run in it.
 */
export function responseCalls(response: JsonObject): ToolCalls | undefined {
  const items = objectsIn(response.output);
  if (!items.some((item) => typeof item.type === "string" && BILLED_ITEMS.has(item.type))) return undefined;
  const tools = objectsIn(response.tools);
  const preview = tools.some(({ type }) => typeof type === "string" && type.startsWith("web_search_preview"));
  const calls = noCalls();
  const containers = new Set<Json>();
  for (const item of items) {
    if (item.type === "web_search_call") {
      const action = isObject(item.action) ? item.action.type : undefined;
      if (action === "open_page" || action === "find_in_page" || action === "find") continue;
      if (preview) calls.previewSearches += 1;
      else calls.webSearches += 1;
    } else if (item.type === "file_search_call") calls.fileSearches += 1;
    else if (item.type === "image_generation_call") calls.others += 1;
    else if (item.type === "code_interpreter_call") containers.add(item.container_id ?? "");
    else if (item.type === "shell_call") containers.add(containerOf(item.environment));
  }
  containers.delete("local");
  const gigabytes = tools.map(({ container }) => (isObject(container) ? gigabytesOf(container.memory_limit) : 1));
  calls.codeSessions = containers.size * Math.max(1, ...gigabytes);
  return calls;
}

const BILLED_ITEMS: ReadonlySet<string> = new Set([
  "web_search_call",
  "file_search_call",
  "image_generation_call",
  "code_interpreter_call",
  "shell_call",
]);

const gigabytesOf = (limit: Json | undefined): number => (typeof limit === "string" ? (GIGABYTES[limit] ?? 64) : 1);

/** A shell runs at the caller's, unless it names a container. */
const containerOf = (environment: Json | undefined): Json =>
  isObject(environment) && environment.type !== "local" ? (environment.container_id ?? "") : "local";

/** Counts what begins in a stream of OpenAI's responses, for those that are cut before they tell. */
export function countResponseEvent(type: string, calls: MutableCalls): void {
  switch (type) {
    case "response.web_search_call.in_progress":
      calls.webSearches += 1;
      break;
    case "response.file_search_call.in_progress":
      calls.fileSearches += 1;
      break;
    case "response.code_interpreter_call.in_progress":
      calls.codeSessions = 1;
      break;
    case "response.image_generation_call.in_progress":
      calls.others += 1;
      break;
  }
}

const GROQ_SEARCHES: ReadonlySet<string> = new Set(["search", "web_search", "browser_search", "browser.search"]);
const GROQ_CODE: ReadonlySet<string> = new Set(["python", "code_interpreter", "code_execution"]);

/** Of Groq's own `executed_tools` in an answer's or a chunk's choices; a stream may tell the same one again, by its index. */
export function executedCalls(choices: readonly JsonObject[], seen: Map<string, JsonObject>): void {
  for (const choice of choices) {
    const said = isObject(choice.delta) ? choice.delta : isObject(choice.message) ? choice.message : undefined;
    for (const [at, tool] of objectsIn(said?.executed_tools).entries())
      seen.set(JSON.stringify([choice.index ?? 0, tool.index ?? at]), tool);
  }
}

export function groqCalls(seen: ReadonlyMap<string, JsonObject>): ToolCalls | undefined {
  if (seen.size === 0) return undefined;
  const calls = noCalls();
  for (const { type } of seen.values()) {
    if (typeof type === "string" && GROQ_SEARCHES.has(type)) calls.webSearches += 1;
    else if (typeof type === "string" && GROQ_CODE.has(type)) calls.codeSessions = 1;
    else calls.others += 1;
  }
  return calls;
}

/** What Gemini's candidates were grounded by: queries that differ, counted once over all chunks; maps once a request. */
export class Grounding {
  readonly #queries = new Set<string>();
  #searched = false;
  #maps = false;

  add(body: JsonObject): void {
    for (const candidate of objectsIn(body.candidates)) {
      const { groundingMetadata } = candidate;
      if (!isObject(groundingMetadata)) continue;
      const { webSearchQueries: queries } = groundingMetadata;
      for (const query of Array.isArray(queries) ? queries : [])
        if (typeof query === "string" && query !== "") this.#queries.add(query);
      for (const chunk of objectsIn(groundingMetadata.groundingChunks)) {
        if (isObject(chunk.web)) this.#searched = true;
        if (isObject(chunk.maps)) this.#maps = true;
      }
    }
  }

  get calls(): ToolCalls | undefined {
    const webSearches = this.#queries.size || (this.#searched ? 1 : 0);
    return webSearches === 0 && !this.#maps ? undefined : { ...noCalls(), webSearches, others: this.#maps ? 1 : 0 };
  }
}

const count = (value: Json | undefined): number => (typeof value === "number" && value > 0 ? Math.floor(value) : 0);

/** Of Anthropic's `usage.server_tool_use`. Code is paid for by the time that its container ran: once a message. */
export function serverToolCalls(usage: JsonObject): ToolCalls | undefined {
  const used = usage.server_tool_use;
  if (!isObject(used)) return undefined;
  const webSearches = count(used.web_search_requests);
  const codeSessions = Math.min(1, count(used.code_execution_requests));
  return webSearches + codeSessions === 0 ? undefined : { ...noCalls(), webSearches, codeSessions };
}

/** Counts a block of Anthropic's content; the usage says searches only. */
export function countServerTool(block: Json | undefined, calls: MutableCalls): void {
  if (!isObject(block) || block.type !== "server_tool_use") return;
  if (block.name === "web_search") calls.webSearches += 1;
  else if (typeof block.name === "string" && block.name.endsWith("code_execution")) calls.codeSessions = 1;
}

/** Of a whole message of Anthropic's: what its usage says, and the code that was run. */
export function messageCalls(message: JsonObject): ToolCalls | undefined {
  const calls = noCalls();
  for (const block of objectsIn(message.content)) countServerTool(block, calls);
  const told = isObject(message.usage) ? serverToolCalls(message.usage) : undefined;
  return told === undefined ? calls : { ...told, codeSessions: Math.max(told.codeSessions, calls.codeSessions) };
}
