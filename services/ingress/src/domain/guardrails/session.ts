/**
 * One request under its guardrails: what goes in, what comes back, and what is said about both. Fails closed: what is found by a rule that
 * blocks ends the request with `guardrail_blocked`, on streams without a terminal event.
 */
import {
  JsonStream,
  MAX_JUDGED,
  type JsonPiece,
  type Piece,
  type Place,
  Restorer,
  scanTexts,
  type Source,
  Tally,
  TextStream,
  Vault,
  type Verdict,
} from "@weir/guardrails";
import { WeirError } from "@weir/kernel";
import type { Edit } from "./edits.ts";
import type { ExternalCheck, Guard } from "./guard.ts";
import { isSibling, readTogether } from "./read-together.ts";
import { answerTexts, pathOf, requestTexts, type Step, type TextAt } from "./texts.ts";

/** What the client is shown and what is kept of it: where values were put back, only the client sees them. */
export interface Both<T> {
  readonly shown: T;
  readonly kept: T;
}

const escaped = (value: string): string => JSON.stringify(value).slice(1, -1);

/** @param source as the rule names it: a detector's name, never what it found */
export function blockedError(source: Source, place: Place): WeirError {
  const what = place === "input" || place === "tool-results" ? "request" : "answer";
  return new WeirError("guardrail_blocked", `A guardrail (${source.detector}) blocked the ${what}.`);
}

type Pieces = readonly (Piece | JsonPiece)[];

export class GuardSession {
  readonly guard: Guard;
  readonly #vault = new Vault();
  readonly #tally = new Tally();
  /** What the rules let through, where somebody outside is asked about it. */
  readonly #passed = new Map<Place, { readonly texts: string[]; length: number }>();

  constructor(guard: Guard) {
    this.guard = guard;
  }

  get verdict(): Verdict {
    return this.#tally.verdict();
  }

  /**
   * @returns what of the request is to be written otherwise before it leaves the house
   * @throws WeirError guardrail_blocked, invalid_request
   */
  input(request: unknown): Edit[] {
    const texts = requestTexts(request, this.#tally);
    const cuts = this.#scanAll(texts);
    // A placeholder must be none that somebody wrote: all texts are known before the first is issued.
    if (cuts.size > 0) for (const { text } of texts) this.#vault.reserve(text);
    const edits = new Map<TextAt, string>();
    // In the order of the request, whatever was found first.
    for (const at of texts) {
      const pieces = cuts.get(at);
      if (pieces === undefined) continue;
      edits.set(
        at,
        written(pieces, (label, value) => this.#vault.placeholder(label, value)),
      );
    }
    if (this.guard.external.length > 0)
      for (const at of texts) if (at.judged) this.#pass(at.place, edits.get(at) ?? at.text);
    return [...edits].map(([at, text]) => ({ path: pathOf(at.step), text }));
  }

  /**
   * A whole answer, or an event of a stream as far as it is no delta.
   * @param skip steps that were handled
   * @throws WeirError guardrail_blocked
   */
  answer(answer: unknown, skip?: ReadonlySet<string>): Both<Edit>[] {
    const edits: Both<Edit>[] = [];
    const texts = answerTexts(answer, this.#tally).filter(
      (at) => skip === undefined || skip.size === 0 || !skip.has(keyOf(at.step)),
    );
    const cuts = this.#scanAll(texts);
    for (const at of texts) {
      if (at.form === "copy-list" || at.form === "copy-object") {
        const edit: Edit = { path: pathOf(at.step), text: "", empty: at.form === "copy-list" ? "list" : "null" };
        if (this.guard.cuts) edits.push({ shown: edit, kept: edit });
        continue;
      }
      const pieces = cuts.get(at);
      const kept = pieces === undefined ? at.text : written(pieces, (label, value) => this.#vault.mask(label, value));
      const shown = this.#restored(kept, at.form);
      if (this.guard.external.length > 0) this.#pass(at.place, kept);
      if (pieces === undefined && shown === at.text) continue;
      const path = pathOf(at.step);
      edits.push({ shown: { path, text: shown }, kept: { path, text: kept } });
    }
    return edits;
  }

  /**
   * A text of a stream that comes in pieces; undefined where nobody looks at it and nothing is to be put back.
   * @param judged see TextAt
   */
  channel(place: "output" | "tool-arguments", form: "text" | "json", judged: boolean): Channel | undefined {
    const scanner = (judged ? this.guard.scanners : this.guard.quiet)[place];
    if (scanner === undefined && this.#vault.isEmpty && this.guard.external.length === 0) return undefined;
    const vault = this.#vault;
    const mask = (label: string, value: string): string => vault.mask(label, value);
    const restorer = new Restorer(vault, form === "json" ? escaped : undefined);
    const stream =
      scanner === undefined
        ? undefined
        : form === "json"
          ? new JsonStream(scanner, this.#tally)
          : new TextStream(scanner, this.#tally);
    const said = (kept: string): Both<string> => {
      if (this.guard.external.length > 0) this.#pass(place, kept);
      return { kept, shown: restorer.push(kept) };
    };
    const checked = (pieces: readonly (Piece | JsonPiece)[]): string => {
      if (stream?.blocked !== undefined) throw blockedError(stream.blocked, place);
      return written(pieces, mask);
    };
    return {
      place,
      form,
      push: (text) => said(stream === undefined ? text : checked(stream.push(text))),
      end() {
        const { kept, shown } = said(stream === undefined ? "" : checked(stream.end()));
        return { kept, shown: shown + restorer.end() };
      },
    };
  }

  /** The texts of a place that its rules let through so far, for those who are asked about them. */
  passed(place: Place): readonly string[] {
    return this.#passed.get(place)?.texts ?? [];
  }

  /**
   * What somebody outside found.
   * @throws WeirError guardrail_blocked
   */
  told(check: ExternalCheck, place: Place, answer: "found" | "nothing" | "unasked"): void {
    if (answer === "nothing") return;
    const unasked = answer === "unasked";
    const action = unasked && check.failClosed ? "block" : unasked ? "flag" : check.action;
    const source = { detector: unasked ? `${check.name} (unasked)` : check.name, action };
    this.#tally.found(source, place);
    if (action === "block") throw blockedError(source, place);
  }

  #pass(place: Place, text: string): void {
    if (text === "" || !this.guard.external.some((check) => check.places.includes(place))) return;
    let passed = this.#passed.get(place);
    if (passed === undefined) this.#passed.set(place, (passed = { texts: [], length: 0 }));
    if (passed.length > MAX_JUDGED) return;
    passed.length += text.length;
    passed.texts.push(passed.length > MAX_JUDGED ? text.slice(0, MAX_JUDGED) : text);
    if (passed.length > MAX_JUDGED) this.#tally.skipped("too-long");
  }

  /**
   * @returns what is to be replaced in which
   * @throws WeirError guardrail_blocked
   */
  #scanAll(texts: readonly TextAt[]): ReadonlyMap<TextAt, Pieces> {
    const cuts = new Map<TextAt, Pieces>();
    for (const group of readTogether(texts)) {
      const [{ place, judged, form, text }] = group;
      const scanner = (judged ? this.guard.scanners : this.guard.quiet)[place];
      if (scanner === undefined || form === "copy-list" || form === "copy-object") continue;
      let blocked: Source | undefined;
      let pieces: readonly (Pieces | undefined)[];
      if (form === "json") {
        const stream = new JsonStream(scanner, this.#tally);
        const all = [...stream.push(text), ...stream.end()];
        ({ blocked } = stream);
        pieces = [all.some((piece) => piece.label !== undefined) ? all : undefined];
      } else
        ({ blocked, pieces } = scanTexts(
          scanner,
          group.map((at) => at.text),
          this.#tally,
          (index) => isSibling(group[index - 1], group[index]),
        ));
      if (blocked !== undefined) throw blockedError(blocked, place);
      for (const [index, at] of group.entries()) {
        const own = pieces[index];
        if (own !== undefined) cuts.set(at, own);
      }
    }
    return cuts;
  }

  #restored(text: string, form: TextAt["form"]): string {
    if (this.#vault.isEmpty) return text;
    const restorer = new Restorer(this.#vault, form === "json" ? escaped : undefined);
    return restorer.push(text) + restorer.end();
  }
}

export interface Channel {
  readonly place: "output" | "tool-arguments";
  readonly form: "text" | "json";
  /** @throws WeirError guardrail_blocked */
  push(text: string): Both<string>;
  /** What is left when no more of the text comes. */
  end(): Both<string>;
}

export const keyOf = (step: Step | undefined): string => pathOf(step).join("\u0000");

function written(
  pieces: readonly (Piece | JsonPiece)[],
  placeholder: (label: string, value: string) => string,
): string {
  let text = "";
  for (const piece of pieces) {
    if ("raw" in piece) {
      if (piece.label === undefined) text += piece.raw;
      else
        text += piece.inString
          ? placeholder(piece.label, piece.value)
          : JSON.stringify(placeholder(piece.label, piece.value));
    } else text += piece.label === undefined ? piece.text : placeholder(piece.label, piece.text);
  }
  return text;
}
