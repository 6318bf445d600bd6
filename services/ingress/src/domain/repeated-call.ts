import type { JsonObject } from "@weir/dialects";

/**
 * What makes two calls of an agent's run the same call: model and last exchange, which is what the model said last and what came back for
 * it. The conversation before that grows with each step and tells nothing; a run that turns in circles says the same, calls the same
 * tool with the same arguments and gets the same result. Names that are new each time (ids of calls, signatures) are left out.
 */
export function callText(model: string, body: JsonObject): string {
  return canonical([model, lastExchange(body)]);
}

/** The members that hold the conversation, by dialect: chat and Messages, Responses and embeddings, Gemini. */
const CONVERSATION = ["messages", "input", "contents"] as const;

function lastExchange(body: JsonObject): unknown {
  const name = CONVERSATION.find((member) => body[member] !== undefined);
  const items = name === undefined ? undefined : body[name];
  if (!Array.isArray(items)) return items ?? body;
  let from = items.length;
  while (from > 0 && !isOfModel(items[from - 1])) from--;
  while (from > 0 && isOfModel(items[from - 1])) from--;
  return items.slice(from);
}

/** Items of Responses say by their type that they are the model's. */
const MODELS_TYPES = new Set([
  "function_call",
  "custom_tool_call",
  "mcp_call",
  "reasoning",
  "local_shell_call",
  "computer_call",
]);

function isOfModel(item: unknown): boolean {
  if (typeof item !== "object" || item === null) return false;
  const { role, type } = item as JsonObject;
  return role === "assistant" || role === "model" || (typeof type === "string" && MODELS_TYPES.has(type));
}

const NEW_EACH_TIME = new Set([
  "id",
  "call_id",
  "tool_call_id",
  "tool_use_id",
  "signature",
  "thoughtSignature",
  "thought_signature",
  "encrypted_content",
]);

/** JSON with its members in order, so that what is equal has equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    const entries = Object.entries(member).filter(([name]) => !NEW_EACH_TIME.has(name));
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** As callText; a typed call is its bytes. */
export const callTextOf = ({ shape, input, inputBytes }: Called): string =>
  "typed" in input
    ? new TextDecoder("latin1").decode(inputBytes)
    : callText(shape.model, JSON.parse(new TextDecoder().decode(inputBytes)) as JsonObject);

interface Called {
  readonly shape: { readonly model: string };
  readonly input: { readonly typed: unknown } | { readonly body: Uint8Array };
  readonly inputBytes: Uint8Array;
}
