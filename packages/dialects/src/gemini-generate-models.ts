/** What a Gemini model takes, by its name (https://ai.google.dev/gemini-api/docs/gemini-3). */
export interface ModelTraits {
  /** Thinking by level; older models take a budget of tokens. */
  readonly levels: boolean;
  /** Function calls must come back with the signature they were given (400 otherwise). */
  readonly signatures: boolean;
  /** Function results may hold images and files. */
  readonly mediaResults: boolean;
}

/** Models without a number (gemini-flash-latest) are taken for new ones, models of other names for old ones. */
export function traitsOf(model: string): ModelTraits {
  const version = /gemini-(\d+)/.exec(model);
  const recent = version === null ? model.includes("gemini") : Number(version[1]) >= 3;
  return { levels: recent, signatures: recent, mediaResults: recent };
}
