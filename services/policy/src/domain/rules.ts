/** What a level of the path allows. A name may end in "*". */
export interface Rules {
  /** Empty: all. */
  readonly allowedModels: readonly string[];
  readonly deniedModels: readonly string[];
  readonly allowedProviders: readonly string[];
  readonly allowedRegions: readonly string[];
  /** 0: no cap. */
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

export const NO_RULES: Rules = {
  allowedModels: [],
  deniedModels: [],
  allowedProviders: [],
  allowedRegions: [],
  maxInputTokens: 0,
  maxOutputTokens: 0,
};

/** An allow list that allows nothing: an empty one would allow all, and no model, provider or region has an empty name. */
const NOTHING: readonly string[] = [""];

/** What all levels allow, exactly: a name passes the result if and only if it passes each level. */
export function mergeRules(levels: readonly Rules[]): Rules {
  return levels.reduce(
    (a, b) => ({
      allowedModels: intersection(a.allowedModels, b.allowedModels),
      deniedModels: [...new Set([...a.deniedModels, ...b.deniedModels])],
      allowedProviders: intersection(a.allowedProviders, b.allowedProviders),
      allowedRegions: intersection(a.allowedRegions, b.allowedRegions),
      maxInputTokens: lowerCap(a.maxInputTokens, b.maxInputTokens),
      maxOutputTokens: lowerCap(a.maxOutputTokens, b.maxOutputTokens),
    }),
    NO_RULES,
  );
}

export const isEmpty = (rules: Rules): boolean =>
  rules.allowedModels.length === 0 &&
  rules.deniedModels.length === 0 &&
  rules.allowedProviders.length === 0 &&
  rules.allowedRegions.length === 0 &&
  rules.maxInputTokens === 0 &&
  rules.maxOutputTokens === 0;

/** Whether a name is one of the patterns: equal, or with the beginning that a "*" at the end leaves open. */
export const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** Two patterns of this kind overlap in a third or not at all, so lists of them are closed under intersection. */
function intersection(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const both = new Set<string>();
  for (const one of a) {
    for (const other of b) {
      if (matches(one, other)) both.add(other);
      else if (matches(other, one)) both.add(one);
    }
  }
  return both.size === 0 ? NOTHING : [...both];
}

const lowerCap = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));

const MOST_PATTERNS = 1000;
const LONGEST_PATTERN = 256;

/** What is wrong with rules that somebody asks for. */
export function ruleProblem(rules: Rules): { param: string; message: string } | undefined {
  const lists = {
    allowed_models: rules.allowedModels,
    denied_models: rules.deniedModels,
    allowed_providers: rules.allowedProviders,
    allowed_regions: rules.allowedRegions,
  };
  for (const [param, list] of Object.entries(lists)) {
    if (list.length > MOST_PATTERNS) return { param, message: `A list has at most ${MOST_PATTERNS} names.` };
    for (const pattern of list) {
      if (pattern.length > LONGEST_PATTERN)
        return { param, message: `A name has at most ${LONGEST_PATTERN} characters.` };
      // A "*" elsewhere would be taken for itself, which nobody means.
      if (pattern.slice(0, -1).includes("*")) return { param, message: 'A "*" may only be a name\'s last character.' };
    }
  }
  return undefined;
}
