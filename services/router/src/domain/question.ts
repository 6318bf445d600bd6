/**
 * Takes a request apart into what its last turn asks, in words, and everything around that: only requests of which the second is equal may
 * have each other's answers by the likeness of the first. Closed on failure: what is not surely text of a user is no question.
 */
import type { DialectName, Json, JsonObject } from "@weir/dialects";

export interface Question {
  readonly text: string;
  /** The request without it. */
  readonly around: Json;
}

/** A long text is alike to another in most of it, whatever else the rest says. UTF-16 units. */
export const LONGEST_QUESTION = 4_000;

/** @returns undefined: its last turn is no plain text, or a longer one */
export function questionOf(dialect: DialectName, body: Json): Question | undefined {
  if (!isObject(body)) return undefined;
  const found = READERS[dialect](body);
  if (found === undefined || found.text.trim() === "" || found.text.length > LONGEST_QUESTION) return undefined;
  return found;
}

const READERS: Readonly<Record<DialectName, (body: JsonObject) => Question | undefined>> = {
  "openai-chat": (body) => lastOf(body, "messages", (last) => turn(last, "content", "text")),
  "anthropic-messages": (body) => lastOf(body, "messages", (last) => turn(last, "content", "text")),
  "openai-responses": (body) =>
    typeof body["input"] === "string"
      ? { text: body["input"], around: { ...body, input: TAKEN } }
      : lastOf(body, "input", (last) =>
          last["type"] === undefined || last["type"] === "message" ? turn(last, "content", "input_text") : undefined,
        ),
  // Gemini's clients may leave the role out.
  "gemini-generate": (body) => lastOf(body, "contents", (last) => turn({ role: "user", ...last }, "parts", undefined)),
};

/** No string of a client is this. */
const TAKEN: Json = { weir: "question" };

function lastOf(
  body: JsonObject,
  name: string,
  read: (last: JsonObject) => Question | undefined,
): Question | undefined {
  const turns = body[name];
  if (!Array.isArray(turns)) return undefined;
  const last = turns.at(-1);
  const found = isObject(last) ? read(last) : undefined;
  return found && { text: found.text, around: { ...body, [name]: [...turns.slice(0, -1), found.around] } };
}

/** @param type of its parts of text; undefined: they have none */
function turn(last: JsonObject, name: string, type: string | undefined): Question | undefined {
  if (last["role"] !== "user") return undefined;
  const said = last[name];
  if (typeof said === "string") return { text: said, around: { ...last, [name]: TAKEN } };
  if (!Array.isArray(said)) return undefined;
  const texts: string[] = [];
  const around: Json[] = [];
  for (const part of said) {
    if (!isObject(part) || part["type"] !== type || typeof part["text"] !== "string") return undefined;
    texts.push(part["text"]);
    around.push({ ...part, text: TAKEN });
  }
  return { text: texts.join("\n"), around: { ...last, [name]: around } };
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
