import type { DialectName, JsonObject } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import { refuseSideDoors } from "./side-doors.ts";
import { type ToolUse, toolUseOf } from "./tool-use.ts";

/** The dialects of the facade. */
export type FacadeDialect = DialectName | "openai-embeddings";

/** What policy must know of a request, whatever its dialect. */
export interface RequestShape {
  readonly model: string;
  readonly stream: boolean;
  /** The most tokens each answer may have; undefined where the client set none. */
  readonly outputCap: number | undefined;
  /** The members of the body that say so. */
  readonly capNames: readonly string[];
  /** How many answers. */
  readonly choices: number;
  /** Bytes of text in it, an upper bound of its tokens. Inline media are counted apart. */
  readonly textBytes: number;
  readonly media: MediaCounts;
  /** What in it cannot be bounded by its size ("previous_response_id", …): it costs the full context window. */
  readonly unbounded: string | undefined;
  /** What its provider may run for it, and bill by the call; undefined: nothing. */
  readonly toolUse?: ToolUse | undefined;
  /** The member that asks for more than the list price buys ("service_tier": "priority"). */
  readonly premium: string | undefined;
  /** It lets the model call something: the client's functions, or what the provider runs. */
  readonly tools: boolean;
  /** It has tools, or wants a structure: providers add instructions of their own. */
  readonly instructed: boolean;
  /** False for embeddings, whose answer has no tokens. */
  readonly generates: boolean;
  /** The client's name for its end user. */
  readonly endUser: string;
}

/** Inline media: their base64 text is not in textBytes. */
export interface MediaCounts {
  readonly images: number;
  /** Decoded. */
  readonly audioBytes: number;
}

const object = (value: unknown): JsonObject | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
const text = (value: unknown): string => (typeof value === "string" ? value : "");

function count(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 0xffff_ffff) {
    throw new WeirError("invalid_request", `"${name}" must be a whole number of at least 1.`, { param: name });
  }
  return value;
}

interface Tally {
  images: number;
  audioBytes: number;
  inlineBytes: number;
  unbounded: string | undefined;
}

/** A member that names something kept elsewhere, whose size nobody here knows. */
function remote(tally: Tally, what: string): void {
  tally.unbounded ??= what;
}

function inlineOrRemote(tally: Tally, value: unknown, what: string): void {
  const source = text(value);
  if (source.startsWith("data:")) tally.inlineBytes += source.length;
  else if (source !== "") remote(tally, what);
}

/** Looks at one content part of any dialect. Unknown shapes are left to the text count, which has all their bytes. */
function visitPart(part: JsonObject, tally: Tally): void {
  switch (text(part["type"])) {
    case "image_url":
    case "input_image": {
      tally.images += 1;
      const url = part["image_url"];
      inlineOrRemote(tally, object(url)?.["url"] ?? url, "remote image");
      if (part["file_id"] !== undefined && part["file_id"] !== null) remote(tally, "file id");
      return;
    }
    case "input_audio": {
      const data = text(object(part["input_audio"])?.["data"]).length;
      tally.audioBytes += Math.ceil((data * 3) / 4);
      tally.inlineBytes += data;
      return;
    }
    case "file":
    case "input_file": {
      const file = object(part["file"]) ?? part;
      tally.inlineBytes += text(file["file_data"]).length;
      if (text(file["file_id"]) !== "") remote(tally, "file id");
      if (text(file["file_url"]) !== "") remote(tally, "remote file");
      // A document's pages are read as text and as pictures: no table bounds that.
      remote(tally, "file");
      return;
    }
    case "image":
    case "document": {
      if (part["type"] === "image") tally.images += 1;
      const source = object(part["source"]);
      if (source?.["type"] === "base64") tally.inlineBytes += text(source["data"]).length;
      else if (source?.["type"] === "url" || source?.["type"] === "file") remote(tally, "remote document");
      if (part["type"] === "document" && source?.["type"] !== "text" && source?.["type"] !== "content")
        remote(tally, "file");
      return;
    }
    case "item_reference":
    case "container_upload":
      return remote(tally, text(part["type"]));
    case "tool_result":
    case "function_call_output":
    case "message":
      return visitContent(part["content"] ?? part["output"], tally);
    default: {
      // Gemini's parts have no type.
      const inline = object(part["inlineData"] ?? part["inline_data"]);
      if (inline !== undefined) {
        tally.inlineBytes += text(inline["data"]).length;
        if (text(inline["mimeType"] ?? inline["mime_type"]).startsWith("image/")) tally.images += 1;
        else remote(tally, "file");
      }
      if (part["fileData"] !== undefined || part["file_data"] !== undefined) remote(tally, "remote file");
      if (part["parts"] !== undefined || part["content"] !== undefined)
        visitContent(part["parts"] ?? part["content"], tally);
    }
  }
}

function visitContent(content: unknown, tally: Tally): void {
  if (!Array.isArray(content)) return;
  for (const item of content) {
    const part = object(item);
    if (part !== undefined) visitPart(part, tally);
  }
}

/** A tool that the provider runs brings input nobody here sees. Functions and custom tools run at the caller's. */
function visitTools(tools: unknown, tally: Tally): void {
  if (!Array.isArray(tools)) return;
  for (const item of tools) {
    const tool = object(item);
    if (tool === undefined) continue;
    const type = tool["type"];
    const own =
      type === "function" ||
      type === "custom" ||
      (type === undefined && (tool["name"] !== undefined || tool["functionDeclarations"] !== undefined));
    if (!own) remote(tally, "server tool");
  }
}

const OUTPUT_CAPS: Record<FacadeDialect, readonly string[]> = {
  "openai-chat": ["max_completion_tokens", "max_tokens"],
  "openai-responses": ["max_output_tokens"],
  "anthropic-messages": ["max_tokens"],
  "gemini-generate": [],
  "openai-embeddings": [],
};

const GEMINI_CAP = "generationConfig.maxOutputTokens";

/** Members whose mere presence means input from elsewhere. */
const STATEFUL = [
  "previous_response_id",
  "conversation",
  "prompt",
  "container",
  "mcp_servers",
  "cachedContent",
  "web_search_options",
];

/** Members for which a provider adds instructions of its own. */
const INSTRUCTING = ["tools", "functions", "response_format", "text", "output_format", "output_config"];

/** Members that change what a token costs, with the values that do not make it dearer. */
const PRICED: Readonly<Record<string, readonly unknown[]>> = {
  service_tier: ["auto", "default", "standard", "standard_only", "flex"],
  speed: ["standard"],
  // OpenRouter's: a web search is paid for by itself.
  plugins: [],
  // xAI's: each source is paid for.
  search_parameters: [],
  // Answered before it ran: what it then costs is told to nobody.
  background: [false],
};

/** Members that give a model something to call. A stored prompt may have tools in it. */
const TOOLS = ["tools", "functions", "mcp_servers", "web_search_options", "plugins", "prompt"];

const premiumOf = (body: JsonObject): string | undefined =>
  Object.keys(PRICED).find((name) => !isAbsent(body[name]) && PRICED[name]?.includes(body[name]) !== true);

const isAbsent = (value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.length === 0);

function endUserOf(dialect: FacadeDialect, body: JsonObject): string {
  if (dialect === "anthropic-messages") return text(object(body["metadata"])?.["user_id"]);
  return text(body["user"]) || text(body["safety_identifier"]);
}

/**
 * Reads what policy needs from a parsed body. It checks only that: the provider, or the translation, checks the rest.
 * @param bodyBytes length of the body as it was sent
 * @throws WeirError invalid_request
 */
export function shapeOf(dialect: FacadeDialect, body: JsonObject, bodyBytes: number): RequestShape {
  refuseSideDoors(dialect, body);
  const model = body["model"];
  if (typeof model !== "string" || model === "") {
    throw new WeirError("invalid_request", '"model" must be a text that names a model.', { param: "model" });
  }
  if (model.length > 256)
    throw new WeirError("invalid_request", '"model" is longer than 256 characters.', { param: "model" });
  const stream = body["stream"];
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    throw new WeirError("invalid_request", '"stream" must be true or false.', { param: "stream" });
  }
  const generation = object(body["generationConfig"]);
  let outputCap = generation === undefined ? undefined : count(generation["maxOutputTokens"], GEMINI_CAP);
  const capNames = outputCap === undefined ? [] : [GEMINI_CAP];
  for (const name of OUTPUT_CAPS[dialect]) {
    const cap = count(body[name], name);
    if (cap === undefined) continue;
    capNames.push(name);
    // Where both are set a provider may obey either: the larger one bounds.
    if (outputCap === undefined || cap > outputCap) outputCap = cap;
  }
  const tally: Tally = { images: 0, audioBytes: 0, inlineBytes: 0, unbounded: undefined };
  visitContent(body["messages"] ?? body["contents"], tally);
  visitContent(body["input"], tally);
  visitTools(body["tools"], tally);
  for (const name of STATEFUL) if (body[name] !== undefined && body[name] !== null) remote(tally, name);
  return {
    model,
    stream: stream === true,
    outputCap,
    capNames,
    choices: count(body["n"] ?? generation?.["candidateCount"], "n") ?? 1,
    textBytes: Math.max(0, bodyBytes - tally.inlineBytes),
    media: { images: tally.images, audioBytes: tally.audioBytes },
    unbounded: tally.unbounded,
    toolUse: toolUseOf(dialect, body),
    premium: premiumOf(body),
    tools: TOOLS.some((name) => !isAbsent(body[name])),
    instructed: INSTRUCTING.some((name) => !isAbsent(body[name])) || !isAbsent(generation?.["responseSchema"]),
    generates: dialect !== "openai-embeddings",
    endUser: endUserOf(dialect, body),
  };
}
