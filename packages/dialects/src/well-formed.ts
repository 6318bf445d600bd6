import { readEvent } from "./sse.ts";

const SPACE = 32;
const OPEN = 123;
const CLOSE = 125;
const DATA = "data: ";
const DATA_AFTER_NAME = "\ndata: ";

/** Events that a model's answer consists of have no name, or one of these; what others hold is their own business. */
const OURS = /^(?:$|response\.|message_|content_block_)/;

/** Whether an event of this name is part of an answer, so that its data must be JSON. */
export const isPartOfAnswer = (name: string): boolean => OURS.test(name);

/**
 * Whether an event's data can be what an event of a model has: one JSON value, or the words that end a stream. Nearly every event is
 * an object, and is told by its first and last character; what is between is not read. Whatever looks otherwise is parsed.
 */
export function isWellFormed(text: string): boolean {
  const start = dataAt(text);
  if (start > 0 && text.charCodeAt(start) === OPEN) {
    let end = text.length - 1;
    while (end > start && text.charCodeAt(end) <= SPACE) end -= 1;
    if (text.charCodeAt(end) === CLOSE) return true;
  }
  const event = readEvent(text);
  if (event === undefined || !isPartOfAnswer(event.event)) return true;
  const data = event.data.trim();
  // Without a blank line before it, it is in the data of the event before.
  const own = data.endsWith("[DONE]") ? data.slice(0, -"[DONE]".length).trim() : data;
  return own === "" || isJson(own);
}

/** Where the data of an event starts that has one line of it, the last one; -1: it is another kind. */
function dataAt(text: string): number {
  if (text.startsWith(DATA)) return DATA.length;
  if (!text.startsWith("event: ")) return -1;
  const at = text.indexOf(DATA_AFTER_NAME);
  return at === -1 ? -1 : at + DATA_AFTER_NAME.length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
