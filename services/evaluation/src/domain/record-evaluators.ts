import type { DatasetRecord } from "./dataset.ts";
import type { Check, HeuristicDefinition, PureDefinition } from "./definition.ts";
import { charactersOf } from "./item.ts";
import type { Assessment } from "./subject.ts";

/** The same record always gets the same assessment. */
export type RecordEvaluator = (record: DatasetRecord) => Assessment;

/** Where in the schema a value fails first, e.g. "#/properties/age/type"; undefined: it fits. */
export type SchemaCheck = (value: unknown) => string | undefined;

/** Longer answers are not parsed as JSON: the checks of a schema are not all linear. In UTF-16 units. */
const MAX_JSON = 262_144;
/** Where a refusal says so; what follows may quote one. In UTF-16 units. */
const REFUSAL_OPENING = 300;

// As models of several makers open a refusal (lower case, straight apostrophes).
const REFUSALS = [
  "i can't help with",
  "i can't assist with",
  "i can't provide",
  "i can't comply",
  "i cannot help with",
  "i cannot assist with",
  "i cannot provide",
  "i cannot comply",
  "i can't fulfill",
  "i cannot fulfill",
  "i'm unable to",
  "i am unable to",
  "i'm not able to",
  "i am not able to",
  "i won't be able to",
  "i must decline",
  "i have to decline",
  "i'm sorry, but i can't",
  "i'm sorry, but i cannot",
  "as an ai language model, i can",
];

/** @param compileSchema @throws WeirError invalid_request for a schema that cannot be used */
export function recordEvaluator(
  definition: PureDefinition,
  compileSchema: (schema: string) => SchemaCheck,
): RecordEvaluator {
  const assess =
    definition.kind === "schema" ? schemaEvaluator(compileSchema(definition.schema)) : heuristic(definition);
  return (record) => (record.answer === undefined ? notEvaluable("no-answer") : assess(record));
}

export const notEvaluable = (finding: string): Assessment => ({
  verdict: "not-evaluable",
  score: 0,
  findings: [finding],
});

function heuristic({ checks, passAt }: HeuristicDefinition): RecordEvaluator {
  const needsReference = checks.some(({ check }) => check === "equals-reference");
  return (record) => {
    if (needsReference && record.reference === undefined) return notEvaluable("no-reference");
    const findings = checks.flatMap((check) => findingOf(check, record) ?? []);
    const held = checks.length - findings.length;
    // Multiplied, not divided: 2/3 of 3 must be 2 whatever the fractions round to.
    const passes = held >= passAt * checks.length - 1e-9;
    return { verdict: passes ? "pass" : "fail", score: held / checks.length, findings };
  };
}

/** What is wrong, as a stable word that quotes nothing of the answer; undefined: the check holds. */
function findingOf(check: Check, { answer = "", reference = "" }: DatasetRecord): string | undefined {
  switch (check.check) {
    case "length": {
      const characters = charactersOf(answer);
      if (characters < check.minCharacters) return "too-short";
      return check.maxCharacters > 0 && characters > check.maxCharacters ? "too-long" : undefined;
    }
    case "no-refusal": {
      const opening = answer.trimStart().slice(0, REFUSAL_OPENING).toLowerCase().replaceAll("\u2019", "'");
      return REFUSALS.some((words) => opening.includes(words)) ? "refusal" : undefined;
    }
    case "keywords": {
      const fold = (text: string): string => (check.matchCase ? text : text.toLowerCase());
      const text = fold(answer);
      const has = (word: string): boolean => text.includes(fold(word));
      if (!check.all.every(has)) return "keyword-missing";
      if (check.any.length > 0 && !check.any.some(has)) return "no-keyword";
      return check.none.some(has) ? "keyword-forbidden" : undefined;
    }
    case "json":
      return jsonOf(answer) === undefined ? "no-json" : undefined;
    case "equals-reference":
      return answer.trim() === reference.trim() ? undefined : "not-the-reference";
  }
}

const schemaEvaluator =
  (check: SchemaCheck): RecordEvaluator =>
  ({ answer = "" }) => {
    if (answer.length > MAX_JSON) return notEvaluable("too-long");
    const json = jsonOf(answer);
    if (json === undefined) return { verdict: "fail", score: 0, findings: ["no-json"] };
    const failing = check(json.value);
    if (failing === undefined) return { verdict: "pass", score: 1, findings: [] };
    return { verdict: "fail", score: 0, findings: [`schema: ${failing}`] };
  };

const FENCE = "```";

/** Fenced JSON, as models write it, counts. */
export function jsonOf(answer: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(unfenced(answer.trim())) };
  } catch {
    return undefined;
  }
}

function unfenced(text: string): string {
  if (text.length < 2 * FENCE.length || !text.startsWith(FENCE) || !text.endsWith(FENCE)) return text;
  const lineEnd = text.indexOf("\n");
  const language = text.slice(FENCE.length, lineEnd).trim();
  return lineEnd > 0 && (language === "" || language === "json") ? text.slice(lineEnd, -FENCE.length) : text;
}
