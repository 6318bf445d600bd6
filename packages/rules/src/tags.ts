import { WeirError } from "@weir/kernel";

export const MOST_TAGS = 32;
const LONGEST_VALUE = 256;
/** Starts with a letter or digit; what a label of a chart can be, and a header can carry. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,63}$/;
/** No comma, which parts tags in a header, and no control character. */
// oxlint-disable-next-line no-control-regex
const VALUE = /^[^\0-\x1f,\x7f]+$/;

/** @returns what is wrong with a tag, for its user */
export function tagProblem(name: string, value: string): string | undefined {
  if (!NAME.test(name))
    return "A tag's name is up to 64 letters, digits, '.', '_', '/' and '-', and begins with a letter or digit.";
  if (value.length > LONGEST_VALUE || !VALUE.test(value))
    return `A tag's value is up to ${LONGEST_VALUE} characters without commas and control characters.`;
  return undefined;
}

/** "team=search" parted; undefined for what is none. */
export function tagOf(text: string): { readonly name: string; readonly value: string } | undefined {
  const at = text.indexOf("=");
  if (at < 1) return undefined;
  return { name: text.slice(0, at).trim(), value: text.slice(at + 1).trim() };
}

/** @throws WeirError invalid_request for tags that are too many, too long or not writable; `param` says where they stood */
export function checkedTags(
  pairs: Iterable<readonly [string, string]>,
  param: string,
): Readonly<Record<string, string>> {
  // Without a prototype: a tag may be called "constructor".
  const tags = Object.create(null) as Record<string, string>;
  let count = 0;
  for (const [name, value] of pairs) {
    const problem = ++count > MOST_TAGS ? `A request has at most ${MOST_TAGS} tags.` : tagProblem(name, value);
    if (problem !== undefined) throw new WeirError("invalid_request", problem, { param });
    if (name in tags) throw new WeirError("invalid_request", `The tag "${name}" comes twice.`, { param });
    tags[name] = value;
  }
  return tags;
}
