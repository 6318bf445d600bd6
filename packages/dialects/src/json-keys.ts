import type { Json } from "./core.ts";
import { BACKSLASH, COLON, concatenated, decoder, encoder, QUOTE, skipString, unescapeKey } from "./json-bytes.ts";

/**
 * What makes two readers of an object, at any depth, read different things: two members of one name ("twice"), or a name written with
 * escapes ("escaped"). What JSON.parse took (the last; and V8 may misread an escaped key, taking its raw characters for a key that it saw
 * before) may then not be what a provider takes: such a body must be refused, or written in another way, before it is passed on.
 * @param parsed what JSON.parse made of `bytes`
 */
export function keyProblem(bytes: Uint8Array, parsed: Json): "twice" | "escaped" | undefined {
  let members = 0;
  let start = 0;
  let end = 0;
  let escaped = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      start = at;
      end = skipString(bytes, at);
      at = end - 1;
    } else if (byte === COLON) {
      members += 1;
      for (let inKey = start; inKey < end && !escaped; inKey += 1) escaped = bytes[inKey] === BACKSLASH;
    }
  }
  if (members !== countMembers(parsed)) return "twice";
  return escaped ? "escaped" : undefined;
}

/**
 * The same JSON with the names of members written plainly wherever that can be ("gr\\u00f6\\u00dfe", as older encoders write it); every
 * other byte is as it was.
 * @param bytes JSON, checked by JSON.parse before
 * @returns `bytes` itself where no name has escapes
 */
export function withPlainKeys(bytes: Uint8Array): Uint8Array {
  const edits: { readonly start: number; readonly end: number; readonly text: string }[] = [];
  let start = 0;
  let end = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] === QUOTE) {
      start = at;
      end = skipString(bytes, at);
      at = end - 1;
    } else if (bytes[at] === COLON) {
      const literal = decoder.decode(bytes.subarray(start, end));
      if (literal.includes("\\")) edits.push({ start, end, text: JSON.stringify(unescapeKey(literal.slice(1, -1))) });
    }
  }
  if (edits.length === 0) return bytes;
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const edit of edits) {
    pieces.push(bytes.subarray(from, edit.start), encoder.encode(edit.text));
    from = edit.end;
  }
  pieces.push(bytes.subarray(from));
  return concatenated(pieces);
}

/** With a list of its own: a body may be nested deeper than the call stack. */
function countMembers(root: Json): number {
  let count = 0;
  const waiting: Json[] = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== "object" || value === null) continue;
    const items: Json[] = Array.isArray(value) ? value : Object.values(value);
    if (items !== value) count += items.length;
    for (const item of items) if (typeof item === "object" && item !== null) waiting.push(item);
  }
  return count;
}
