/** Whose tokens can be counted here: OpenAI publishes its vocabularies, the others do not, or not the templates around them. */
export type Vocabulary = "o200k_base" | "cl100k_base";

/** Models from gpt-4o on; those before it use the older vocabulary. */
const NEWER = /^(?:ft:)?(?:gpt-(?:4o|4\.|[5-9])|chatgpt-|o\d)/;
const OLDER = /^(?:ft:)?(?:gpt-(?:3\.5|4)|text-embedding-)/;

/** @returns undefined: not known; its tokens are bounded by its bytes */
export function vocabularyOf(kind: string, model: string): Vocabulary | undefined {
  if (kind !== "openai") return undefined;
  if (NEWER.test(model)) return "o200k_base";
  return OLDER.test(model) ? "cl100k_base" : undefined;
}

/** Merging takes the square of a word's length: a run longer than this is counted in pieces. */
const LONGEST_RUN = 256;
const LONG_RUN = new RegExp(`\\S{${LONGEST_RUN + 1}}|\\s{${LONGEST_RUN + 1}}`, "u");
const CUT = new RegExp(`\\S{1,${LONGEST_RUN}}|\\s{1,${LONGEST_RUN}}`, "gu");

/**
 * Pieces that can be counted in time that grows with the text and not with its square (200,000 times "a" take half a minute whole). Text of
 * ordinary words stays in one piece. The pieces of a run have at most about one token in 256 characters more than the run.
 */
export function countablePieces(text: string): readonly string[] {
  if (!LONG_RUN.test(text)) return [text];
  const pieces: string[] = [];
  let words = "";
  for (const [run] of text.matchAll(CUT)) {
    if (run.length < LONGEST_RUN) words += run;
    else {
      pieces.push(words, run);
      words = "";
    }
  }
  pieces.push(words);
  return pieces.filter((piece) => piece !== "");
}
