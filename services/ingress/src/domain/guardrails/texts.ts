/**
 * Every text in a request or an answer, of any dialect and of the typed contract: all strings are texts, whatever the members are called
 * that hold them, but for what is known to be none. So a member that nobody here knows is scanned, too.
 */
import { WeirError } from "@weir/kernel";
import type { Place, Tally } from "@weir/guardrails";

/** One step on the way to a value, linked to the one before: most ways are never written out. */
export interface Step {
  readonly before: Step | undefined;
  readonly key: string | number;
  readonly depth: number;
}

export interface TextAt {
  readonly step: Step | undefined;
  readonly text: string;
  readonly place: Place;
  /** Whether somebody who is not trusted wrote it, so that it may be judged as a whole: instructions are not to be taken for an attack. */
  readonly judged: boolean;
  /** What it is written as; or that it repeats a text. */
  readonly form: "text" | "json" | "number" | "copy-list" | "copy-object";
}

/** Who speaks. */
type Origin = "user" | "instructions" | "assistant" | "definition" | "data" | "called" | "answer" | "thought" | "call";

const PLACES: Readonly<Record<Origin, Place>> = {
  user: "input",
  instructions: "input",
  assistant: "input",
  definition: "input",
  data: "tool-results",
  called: "input",
  answer: "output",
  thought: "output",
  call: "tool-arguments",
};
const JUDGED: ReadonlySet<Origin> = new Set(["user", "data", "call"]);
/** Of an answer: its text, and not what it thought or which tool it calls. */
const ANSWERED = new Set(["content", "text"]);
const isThought = (type: string): boolean => /thinking|reasoning|summary/.test(type);

/** Roles of all dialects, and of the contract (weir.common.v1.Role). */
const ROLES: ReadonlyMap<unknown, Origin> = new Map<unknown, Origin>([
  ["system", "instructions"],
  ["developer", "instructions"],
  ["user", "user"],
  ["assistant", "assistant"],
  ["model", "assistant"],
  ["tool", "data"],
  ["function", "data"],
  [1, "instructions"],
  [2, "instructions"],
  [3, "user"],
  [4, "assistant"],
  [5, "data"],
]);

/** Members of a request's top level that its operator or its program wrote. */
const TOP: ReadonlyMap<string, Origin> = new Map<string, Origin>([
  ["system", "instructions"],
  ["instructions", "instructions"],
  ["tools", "definition"],
  ["functions", "definition"],
  ["response_format", "definition"],
  ["responseFormat", "definition"],
  ["text", "definition"],
  ["tool_choice", "definition"],
  ["metadata", "definition"],
]);

/** Parts that hold what a tool gave back, or a document: nobody may give instructions there. */
const isData = (type: string): boolean =>
  type.endsWith("_output") || type.endsWith("_result") || type === "document" || type === "toolResult";
const isCall = (type: string): boolean => type.endsWith("tool_use") || type.endsWith("_call") || type === "toolCall";

/** Members whose short values only say what something is, or which. */
const STRUCTURE = new Set(
  (
    "type id object model role status tool_call_id tool_use_id call_id item_id response_id $typeName case finish_reason stop_reason " +
    "service_tier media_type mime_type mediaType format detail obfuscation system_fingerprint encoding_format index phase"
  ).split(" "),
);
const LONGEST_NAME = 128;
/** What a provider sealed: nobody here can read it, and changed it is worth nothing. */
const SEALED = new Set(["signature", "encrypted_content", "thoughtSignature", "thought_signature"]);
/** Members that are JSON in a text. */
const JSON_TEXTS = new Set(["arguments", "parametersJson", "extraJson", "json"]);
const BINARY = new Set(["data", "file_data", "fileData", "b64_json", "partial_image_b64"]);
const REFERENCES = new Set(["file_id", "fileId", "file_url", "file_uri", "previous_response_id", "conversation"]);

/** Deeper texts cannot be replaced without a call stack as deep. */
const MAX_DEPTH = 500;

interface Waiting {
  readonly value: unknown;
  readonly step: Step | undefined;
  readonly origin: Origin;
}

type Members = Readonly<Record<string, unknown>>;

export const requestTexts = (root: unknown, tally: Tally): TextAt[] => texts(root, "user", tally);
export const answerTexts = (root: unknown, tally: Tally): TextAt[] => texts(root, "answer", tally);

/** @throws WeirError invalid_request where it is nested too deep */
function texts(root: unknown, start: "user" | "answer", tally: Tally): TextAt[] {
  const found: TextAt[] = [];
  const waiting: Waiting[] = [{ value: root, step: undefined, origin: start }];
  // Depth first and in order, with a stack of its own.
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, step, origin } = next;
    if (typeof value === "string") leaf(value, step, origin, "text", found);
    else if (typeof value === "number" && isLong(value) && (origin === "call" || origin === "called"))
      leaf(String(value), step, origin, "number", found);
    else if (Array.isArray(value)) {
      const items = value as readonly unknown[];
      for (let index = items.length - 1; index >= 0; index -= 1)
        waiting.push({ value: items[index], step: stepTo(step, index), origin });
    } else if (value instanceof Uint8Array) {
      if (value.length > 0) tally.skipped("file");
    } else if (typeof value === "object" && value !== null)
      enter(value as Members, step, origin, start, tally, found, waiting);
  }
  return found;
}

const isLong = (value: number): boolean => Number.isInteger(value) && Math.abs(value) >= 1e7;

function stepTo(before: Step | undefined, key: string | number): Step {
  const depth = (before?.depth ?? 0) + 1;
  if (depth > MAX_DEPTH) throw new WeirError("invalid_request", "The body is nested too deep to be scanned.");
  return { before, key, depth };
}

function leaf(text: string, step: Step | undefined, origin: Origin, form: TextAt["form"], found: TextAt[]): void {
  if (text === "") return;
  const judged = JUDGED.has(origin) || (origin === "answer" && ANSWERED.has(String(step?.key)));
  found.push({ step, text, place: PLACES[origin], judged, form });
}

function enter(
  object: Members,
  step: Step | undefined,
  origin: Origin,
  start: "user" | "answer",
  tally: Tally,
  found: TextAt[],
  waiting: Waiting[],
): void {
  const { type: given, case: one, role } = object;
  const type = typeof given === "string" ? given : typeof one === "string" ? one : "";
  let own = origin;
  if (start === "user") {
    own = ROLES.get(role) ?? origin;
    if (own === "user" && isData(type)) own = "data";
  } else if (own === "answer" && isThought(type)) own = "thought";
  const call = isCall(type);
  const keys = Object.keys(object);
  const children: Waiting[] = [];
  for (const key of keys) {
    const value = object[key];
    if (value === null || value === undefined) continue;
    // The text once more, token by token: no text of its own.
    if (key === "logprobs" && start === "answer" && typeof value === "object") {
      const list = Array.isArray(value);
      if (!list || value.length > 0)
        found.push({
          step: stepTo(step, key),
          text: "",
          place: "output",
          judged: false,
          form: list ? "copy-list" : "copy-object",
        });
      continue;
    }
    const origin = originOf(key, own, call, start, step);
    if (typeof value !== "string") {
      children.push({ value, step: stepTo(step, key), origin });
      continue;
    }
    if (isNoText(object, key, value, type, tally)) continue;
    if (JSON_TEXTS.has(key) && mayBeJson(value)) leaf(value, stepTo(step, key), origin, "json", found);
    else children.push({ value, step: stepTo(step, key), origin });
  }
  for (let index = children.length - 1; index >= 0; index -= 1) waiting.push(children[index] as Waiting);
}

const mayBeJson = (text: string): boolean => /^\s*[{["]/.test(text.slice(0, 64));

function originOf(key: string, own: Origin, call: boolean, start: "user" | "answer", step: Step | undefined): Origin {
  if (start === "user" && step === undefined) return TOP.get(key) ?? own;
  const isArguments = key === "arguments" || (call && (key === "input" || key === "value" || key === "action"));
  if (!isArguments) return own;
  return start === "answer" ? "call" : own === "data" ? "data" : "called";
}

/** What is no text is counted, so that a verdict says that it was not scanned. */
function isNoText(object: Members, key: string, value: string, type: string, tally: Tally): boolean {
  if (STRUCTURE.has(key)) return value.length <= LONGEST_NAME && !value.includes(" ");
  if (SEALED.has(key)) {
    if (value !== "") tally.skipped("sealed");
    return true;
  }
  if (value.startsWith("data:") && value.slice(0, 128).includes(";base64,")) {
    tally.skipped(mediaOf(value.slice(5, 64)));
    return true;
  }
  if (BINARY.has(key) && (isBinary(object) || type === "redacted_thinking")) {
    tally.skipped(
      type === "redacted_thinking"
        ? "sealed"
        : mediaOf(
            `${[object["media_type"], object["mime_type"], object["mimeType"], object["format"]].find((one) => typeof one === "string") ?? ""} ${type}`,
          ),
    );
    return true;
  }
  // Its bytes are elsewhere; the name itself is scanned.
  if (REFERENCES.has(key) || (key === "url" && /^(?:url|image_url|input_image|image|)$/.test(type)))
    tally.skipped("reference");
  return false;
}

const isBinary = (object: Members): boolean =>
  ["media_type", "mime_type", "mimeType", "format", "filename", "partial_image_index"].some((name) => name in object) ||
  object["type"] === "base64";

function mediaOf(type: string): "image" | "audio" | "video" | "file" {
  return type.includes("image")
    ? "image"
    : type.includes("audio") || /\b(?:wav|mp3)\b/.test(type)
      ? "audio"
      : type.includes("video")
        ? "video"
        : "file";
}

export function pathOf(step: Step | undefined): (string | number)[] {
  const path: (string | number)[] = [];
  for (let at = step; at !== undefined; at = at.before) path.push(at.key);
  return path.reverse();
}
