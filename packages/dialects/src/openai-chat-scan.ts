import type { Written } from "./written.ts";

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const QUOTE = 34;
const COLON = 58;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const LETTER_N = 110;
const LETTER_U = 117;

/** The chunk holds more than what the model wrote next, and must be parsed. */
export const PARSE = -1;

/**
 * Counts what the model wrote in an ordinary chunk, in one pass and without parsing it: searching for each member by name takes longer.
 * @param text the event as it came, starting with `data: {`
 * @param callsKnown whether tool calls were seen before, so that one more says nothing new
 * @param into takes what was written
 * @returns characters, escapes counted as one; PARSE where a finish reason, usage, an error or anything unusual is in it
 */
export function scanChunk(text: string, callsKnown: boolean, into?: Written): number {
  let length = text.length;
  while (isLineEnd(text.charCodeAt(length - 1))) length -= 1;
  let written = 0;
  let thinking = 0;
  let thinkingAgain = 0;
  let other = 0;
  for (let at = 6; at < length; at += 1) {
    const code = text.charCodeAt(at);
    // More lines than one: more events than one, by a server that left the blank line out.
    if (isLineEnd(code)) return PARSE;
    if (code !== QUOTE) continue;
    const start = at + 1;
    at = closing(text, start);
    let next = at + 1;
    while (isSpace(text.charCodeAt(next))) next += 1;
    if (text.charCodeAt(next) !== COLON) continue;
    next += 1;
    while (isSpace(text.charCodeAt(next))) next += 1;
    const value = text.charCodeAt(next);
    const kind = kindOf(text, start, at - start);
    if (kind === 0 || value === LETTER_N) {
      at = next - 1;
      continue;
    }
    if (kind === MUST_PARSE) return PARSE;
    if (kind === CALLS) {
      if (!callsKnown && value === OPEN_LIST && text.charCodeAt(next + 1) !== CLOSE_LIST) return PARSE;
      at = next - 1;
      continue;
    }
    if (value !== QUOTE) {
      at = next - 1;
      continue;
    }
    at = closing(text, next + 1);
    const size = sizeOf(text, next + 1, at);
    if (kind === WRITTEN) written += size;
    else if (kind === THINKING) thinking += size;
    else if (kind === THINKING_AGAIN) thinkingAgain += size;
    else other += size;
    if (into !== undefined && size > 0 && (kind === WRITTEN || kind === THINKING || thinking === 0))
      into.literal(text.slice(next + 1, at));
  }
  // The two names of thinking hold the same text where a server sends both; Mistral's lists have their text one level down.
  written += thinking || thinkingAgain;
  return written === 0 ? other : written;
}

const MUST_PARSE = 1;
const CALLS = 2;
const WRITTEN = 3;
const THINKING = 4;
const THINKING_AGAIN = 5;
const TEXT = 6;

/** What a member of this name is to the scan; 0: nothing. */
function kindOf(text: string, start: number, length: number): number {
  switch (length) {
    case 4:
      return text.startsWith("name", start) ? WRITTEN : text.startsWith("text", start) ? TEXT : 0;
    case 5:
      return text.startsWith("usage", start) || text.startsWith("error", start) ? MUST_PARSE : 0;
    case 7:
      return text.startsWith("content", start) || text.startsWith("refusal", start) ? WRITTEN : 0;
    case 9:
      return text.startsWith("arguments", start) ? WRITTEN : text.startsWith("reasoning", start) ? THINKING_AGAIN : 0;
    case 10:
      return text.startsWith("tool_calls", start) ? CALLS : 0;
    case 13:
      return text.startsWith("finish_reason", start) ? MUST_PARSE : 0;
    case 14:
      // What Groq's own tools did stands beside what the model wrote, in members of the same names.
      return text.startsWith("executed_tools", start) ? MUST_PARSE : 0;
    case 17:
      return text.startsWith("reasoning_content", start) ? THINKING : 0;
    default:
      return 0;
  }
}

/** Where the string literal ends that starts at `from`. */
function closing(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at += 1;
  }
  return at;
}

function sizeOf(text: string, from: number, to: number): number {
  let size = to - from;
  for (let at = text.indexOf("\\", from); at !== -1 && at < to; at = text.indexOf("\\", at)) {
    const escape = text.charCodeAt(at + 1) === LETTER_U ? 6 : 2;
    size -= escape - 1;
    at += escape;
  }
  return size;
}

const isLineEnd = (code: number): boolean => code === LF || code === CR;
const isSpace = (code: number): boolean => code === SPACE || code === TAB;
