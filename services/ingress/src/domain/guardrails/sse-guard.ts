/**
 * A stream of events under its guardrails. Events keep their order, indexes and ids; a text that is held back comes with a later event of
 * the same text, what is left of it in one more event before the one that ends it. Every byte that nothing was found in stays.
 */
import {
  type DialectName,
  encodeSse,
  EventSplitter,
  type JsonObject,
  type JsonReplacement,
  readEvent,
  replaceJson,
} from "@weir/dialects";
import { type Edit, jsonOf } from "./edits.ts";
import type { Both, Channel, GuardSession } from "./session.ts";
import { type Delta, type ReadEvent, readerOf } from "./stream-events.ts";

interface Open {
  readonly channel: Channel;
  /** The last event's way of writing more of it. */
  more: Delta["more"];
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class SseGuard {
  readonly #session: GuardSession;
  readonly #read: ReadEvent;
  readonly #splitter = new EventSplitter();
  readonly #open = new Map<string, Open | undefined>();
  /** Events that were added, which move the numbers of those after them. */
  #added = 0;
  /** Of the last event that had one. */
  #number = -1;

  constructor(session: GuardSession, dialect: DialectName) {
    this.#session = session;
    this.#read = readerOf(dialect);
  }

  /** @throws WeirError guardrail_blocked: then nothing of it may be shown */
  push(bytes: Uint8Array): Both<Uint8Array> {
    const whole = this.#splitter.push(bytes);
    const shown: Uint8Array[] = [];
    const kept: Uint8Array[] = [];
    let start = 0;
    for (const end of whole?.ends ?? []) {
      this.#event((whole as { bytes: Uint8Array }).bytes.subarray(start, end), shown, kept);
      start = end;
    }
    return both(shown, kept);
  }

  /** The last bytes: whatever is held must be decided. @throws WeirError guardrail_blocked */
  end(terminal: Uint8Array): Both<Uint8Array> {
    const first = this.push(terminal);
    const shown = [first.shown];
    const kept = [first.kept];
    const rest = this.#splitter.rest();
    if (rest.length > 0) this.#event(rest, shown, kept);
    this.#close("", undefined, shown, kept);
    return both(shown, kept);
  }

  #event(bytes: Uint8Array, shown: Uint8Array[], kept: Uint8Array[]): void {
    const text = decoder.decode(bytes);
    const event = readEvent(text);
    // A comment, to keep the connection: nobody reads it, so it need not go on where something is found.
    if (event === undefined) return this.#session.answer(text).length === 0 ? pass(bytes, shown, kept) : undefined;
    const json = parsed(event.data);
    if (json === undefined) {
      if (event.data.trim() === "[DONE]") this.#close("", undefined, shown, kept);
      const [said] = this.#session.answer(event.data);
      if (said === undefined) return pass(bytes, shown, kept);
      shown.push(encoder.encode(encodeSse({ event: event.event, data: said.shown.text })));
      kept.push(encoder.encode(encodeSse({ event: event.event, data: said.kept.text })));
      return;
    }
    const { deltas, ends } = this.#read(json);
    const number = json["sequence_number"];
    const own = new Set(deltas.map(({ channel }) => channel));
    for (const prefix of ends) this.#close(prefix, typeof number === "number" ? number : undefined, shown, kept, own);
    const edits: Both<Edit>[] = [];
    const handled = new Set<string>();
    for (const delta of deltas) {
      const { path } = delta;
      handled.add(path.join("\u0000"));
      const channel = this.#channel(delta);
      let said = channel?.push(delta.text);
      // A last piece and its end in one event.
      if (channel !== undefined && ends.some((prefix) => delta.channel.startsWith(prefix))) {
        const rest = channel.end();
        said = { shown: (said?.shown ?? "") + rest.shown, kept: (said?.kept ?? "") + rest.kept };
        this.#open.delete(delta.channel);
      }
      if (said === undefined || (said.shown === delta.text && said.kept === delta.text)) continue;
      edits.push({ shown: { path, text: said.shown }, kept: { path, text: said.kept } });
    }
    edits.push(...this.#session.answer(json, handled));
    const fixed: JsonReplacement[] = [];
    if (typeof number === "number") {
      this.#number = number;
      if (this.#added > 0) fixed.push({ path: ["sequence_number"], json: String(number + this.#added) });
    }
    if (edits.length === 0 && fixed.length === 0) return pass(bytes, shown, kept);
    const data = encoder.encode(event.data);
    const write = (side: "shown" | "kept"): Uint8Array => {
      const replacements = edits.map((edit) => ({ path: edit[side].path, json: jsonOf(edit[side]) }));
      const json = decoder.decode(replaceJson(data, [...replacements, ...fixed]));
      return encoder.encode(encodeSse({ event: event.event, data: json }));
    };
    shown.push(write("shown"));
    kept.push(write("kept"));
  }

  #channel({ channel, place, form, judged, more }: Delta): Channel | undefined {
    let open = this.#open.get(channel);
    if (open === undefined) {
      if (this.#open.has(channel)) return undefined;
      const made = this.#session.channel(place, form, judged);
      open = made && { channel: made, more };
      this.#open.set(channel, open);
    }
    if (open !== undefined) open.more = more;
    return open?.channel;
  }

  /**
   * Ends the texts whose names begin so.
   * @param number of the event before which what is left of them comes
   * @param but their own event brings their end
   */
  #close(
    prefix: string,
    number: number | undefined,
    shown: Uint8Array[],
    kept: Uint8Array[],
    but?: ReadonlySet<string>,
  ): void {
    for (const [name, open] of this.#open) {
      if (!name.startsWith(prefix) || but?.has(name) === true) continue;
      this.#open.delete(name);
      const rest = open?.channel.end();
      if (open === undefined || rest === undefined || (rest.shown === "" && rest.kept === "")) continue;
      const own = (number ?? this.#number + 1) + this.#added;
      const write = (text: string): Uint8Array => {
        const json = open.more(text);
        const { type } = json;
        const data = JSON.stringify("sequence_number" in json ? { ...json, sequence_number: own } : json);
        return encoder.encode(encodeSse({ event: typeof type === "string" ? type : "", data }));
      };
      shown.push(write(rest.shown));
      kept.push(write(rest.kept));
      this.#added += 1;
    }
  }
}

function pass(bytes: Uint8Array, shown: Uint8Array[], kept: Uint8Array[]): void {
  shown.push(bytes);
  kept.push(bytes);
}

/** Undefined for [DONE], and for what no SDK reads as an event. */
function parsed(data: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    // It is scanned as the text it is.
    return undefined;
  }
}

function both(shown: readonly Uint8Array[], kept: readonly Uint8Array[]): Both<Uint8Array> {
  return { shown: joined(shown), kept: joined(kept) };
}

const EMPTY = new Uint8Array(0);

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length <= 1) return pieces[0] ?? EMPTY;
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
