import type { TextAt } from "./texts.ts";

/** Texts of which what is looked for may begin in one and end in another: never empty, all of one place and form. */
export type TextGroup = readonly [TextAt, ...TextAt[]];

/**
 * Puts those together that a model reads without anything between: the parts of a message, and what one speaker says in several messages
 * where a word may go on from one to the next.
 */
export function readTogether(texts: readonly TextAt[]): TextGroup[] {
  const groups: [TextAt, ...TextAt[]][] = [];
  // By place and by whether it is judged: who speaks.
  const lastOf = new Map<string, [TextAt, ...TextAt[]]>();
  for (const at of texts) {
    const kind = at.form === "text" ? `${at.place} ${at.judged}` : "";
    const group = lastOf.get(kind);
    const last = group?.at(-1);
    if (kind !== "" && group !== undefined && last !== undefined && (isSibling(last, at) || goesOn(last, at))) {
      group.push(at);
      continue;
    }
    const begun: [TextAt, ...TextAt[]] = [at];
    groups.push(begun);
    if (kind !== "") lastOf.set(kind, begun);
  }
  return groups;
}

/** Two parts of one list: content[0].text and content[1].text. */
export function isSibling(before: TextAt | undefined, behind: TextAt | undefined): boolean {
  const [left, right] = [before?.step, behind?.step];
  const [one, other] = [left?.before, right?.before];
  return (
    one !== undefined &&
    other !== undefined &&
    one !== other &&
    typeof one.key === "number" &&
    one.before !== undefined &&
    one.before === other.before &&
    left?.key === right?.key &&
    left?.key === "text"
  );
}

const GOES_ON = /[0-9A-Za-z@_+/-]\s*$/;
const IS_GONE_ON = /^\s*[0-9A-Za-z@_.+/-]/;
/** Of a text, to see how it ends. */
const END = 8;

const goesOn = (left: TextAt, right: TextAt): boolean =>
  left.judged &&
  (left.place === "input" || left.place === "tool-results") &&
  IS_GONE_ON.test(right.text.slice(0, END)) &&
  GOES_ON.test(left.text.slice(-END));
