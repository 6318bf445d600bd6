import { WeirError } from "@weir/kernel";

/** Deeper values are refused: they would end in a stack that overflows, here or in a schema's check. */
const MAX_DEPTH = 200;

/**
 * The one text of a JSON value: RFC 8785 (names sorted by UTF-16 units, numbers as ECMAScript writes them, no white space).
 * @param value as JSON.parse makes it
 * @throws WeirError invalid_request where it is nested deeper than 200, or holds half a surrogate pair, which is no Unicode
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new WeirError("invalid_request", `The JSON is nested deeper than ${MAX_DEPTH}.`);
  if (typeof value === "string") return textOf(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${textOf(name)}:${canonicalJson(member, depth + 1)}`);
  return `{${members.join(",")}}`;
}

function textOf(text: string): string {
  if (!text.isWellFormed()) throw new WeirError("invalid_request", "The JSON holds half a surrogate pair.");
  return JSON.stringify(text);
}
