import {
  CLOSE,
  CLOSE_LIST,
  COLON,
  COMMA,
  concatenated,
  decoder,
  encoder,
  notAnObject,
  OPEN,
  OPEN_LIST,
  QUOTE,
  skipSpace,
  skipString,
  skipValue,
  unescapeKey,
} from "./json-bytes.ts";

/** A value in a JSON text by the names and indexes on its way, and the raw JSON to put there. */
export interface JsonReplacement {
  readonly path: readonly (string | number)[];
  readonly json: string;
}

interface Plan {
  json: string | undefined;
  readonly inner: Map<string | number, Plan>;
}

/**
 * Replaces values anywhere in a JSON text and leaves every other byte as it is. Of two members of one name both are replaced; a value
 * that is not there is not added.
 * @param bytes UTF-8 JSON, checked by JSON.parse before; it may begin with white space
 * @returns `bytes` itself where there is nothing to replace
 */
export function replaceJson(bytes: Uint8Array, replacements: readonly JsonReplacement[]): Uint8Array {
  if (replacements.length === 0) return bytes;
  const root: Plan = { json: undefined, inner: new Map() };
  for (const { path, json } of replacements) {
    let plan = root;
    for (const step of path) {
      let next = plan.inner.get(step);
      if (next === undefined) plan.inner.set(step, (next = { json: undefined, inner: new Map() }));
      plan = next;
    }
    plan.json = json;
  }
  const pieces: Uint8Array[] = [];
  let from = 0;
  const put = (start: number, end: number, json: string): void => {
    pieces.push(bytes.subarray(from, start), encoder.encode(json));
    from = end;
  };
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  walk(bytes, skipSpace(bytes, start), root, put);
  pieces.push(bytes.subarray(from));
  return concatenated(pieces);
}

/** As deep as the longest path, never as deep as the text. @returns the offset behind the value */
function walk(
  bytes: Uint8Array,
  at: number,
  plan: Plan,
  put: (start: number, end: number, json: string) => void,
): number {
  if (plan.json !== undefined) {
    const end = skipValue(bytes, at);
    put(at, end, plan.json);
    return end;
  }
  if (plan.inner.size === 0) return skipValue(bytes, at);
  if (bytes[at] === OPEN) return walkObject(bytes, at, plan, put);
  return bytes[at] === OPEN_LIST ? walkList(bytes, at, plan, put) : skipValue(bytes, at);
}

function walkObject(
  bytes: Uint8Array,
  open: number,
  plan: Plan,
  put: (start: number, end: number, json: string) => void,
): number {
  let at = skipSpace(bytes, open + 1);
  while (bytes[at] !== CLOSE) {
    if (bytes[at] !== QUOTE) throw notAnObject();
    const keyEnd = skipString(bytes, at);
    const name = unescapeKey(decoder.decode(bytes.subarray(at + 1, keyEnd - 1)));
    at = skipSpace(bytes, keyEnd);
    if (bytes[at] !== COLON) throw notAnObject();
    at = skipSpace(bytes, at + 1);
    const inner = plan.inner.get(name);
    at = skipSpace(bytes, inner === undefined ? skipValue(bytes, at) : walk(bytes, at, inner, put));
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
    else if (bytes[at] !== CLOSE) throw notAnObject();
  }
  return at + 1;
}

function walkList(
  bytes: Uint8Array,
  open: number,
  plan: Plan,
  put: (start: number, end: number, json: string) => void,
): number {
  let at = skipSpace(bytes, open + 1);
  for (let index = 0; bytes[at] !== CLOSE_LIST; index += 1) {
    if (at >= bytes.length) throw notAnObject();
    const inner = plan.inner.get(index);
    at = skipSpace(bytes, inner === undefined ? skipValue(bytes, at) : walk(bytes, at, inner, put));
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
    else if (bytes[at] !== CLOSE_LIST) throw notAnObject();
  }
  return at + 1;
}
