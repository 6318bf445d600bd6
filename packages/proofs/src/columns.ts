/* How the log's columns hold what headers say: whoever checks them against the headers needs the same rules. */

const MAX_TEXT = 256;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
// Postgres stores no NUL, and U+001F separates the texts of a batch. Model names come from clients: anything is in there.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f]/g;

/** A text that every store takes, and an index, too: no control characters, at most 256 characters. The header keeps the truth. */
export const searchable = (text: string): string => {
  const short = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  return short.search(CONTROL) < 0 ? short : short.replace(CONTROL, "\ufffd");
};

/** The id, or "" for what is no UUID. */
export const uuidOrNone = (text: string): string => (UUID.test(text) ? text : "");
