import { linearTest } from "@weir/guardrails";
import { WeirError } from "@weir/kernel";
import { Ajv2020 } from "ajv/dist/2020.js";

/** Of a schema: compiling takes as long as it is large. */
const MAX_SCHEMA = 65_536;
/** Deeper answers fail every schema. */
const MAX_DEPTH = 200;

/**
 * Compiled once, when the service starts: a schema costs nothing per request but its checks, and those are linear in the answer, which
 * somebody hostile may have written: `pattern` runs without backtracking, `uniqueItems` compares no two items.
 * @returns whether a text is JSON of the schema (2020-12); fenced JSON, as models write it, counts
 * @throws WeirError invalid_request, also for a pattern that has no linear algorithm
 */
export function jsonSchemaCheck(
  guardrail: string,
  schema: Readonly<Record<string, unknown>>,
): (text: string) => boolean {
  const compiled = compile(guardrail, schema);
  return (text) => {
    const [, fenced] = /^\s*```(?:json)?\n([^]*)\n```\s*$/.exec(text) ?? [];
    try {
      const value: unknown = JSON.parse(fenced ?? text);
      return !isDeeper(value, MAX_DEPTH) && compiled(value);
    } catch {
      // What is no JSON fails every schema.
      return false;
    }
  };
}

function compile(guardrail: string, schema: Readonly<Record<string, unknown>>): (value: unknown) => boolean {
  try {
    if (JSON.stringify(schema).length > MAX_SCHEMA) throw new Error(`it is longer than ${MAX_SCHEMA} characters`);
    // Apart, because the schema of schemas has patterns of its own.
    const meta = new Ajv2020({ strict: false, validateFormats: false, logger: false });
    if (meta.validateSchema(schema) !== true) throw new Error(meta.errorsText(meta.errors));
    const ajv = new Ajv2020({
      validateSchema: false,
      strict: false,
      validateFormats: false,
      logger: false,
      code: { regExp: Object.assign(linearPattern, { code: "linearPattern" }) },
    });
    ajv.removeKeyword("uniqueItems").addKeyword({
      keyword: "uniqueItems",
      type: "array",
      schemaType: "boolean",
      validate: (wanted: boolean, items: unknown[]) => !wanted || new Set(items.map(canonical)).size === items.length,
    });
    return ajv.compile(schema);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "it cannot be compiled";
    throw new WeirError("invalid_request", `The schema of the guardrail "${guardrail}" is wrong: ${message}`, {
      cause,
    });
  }
}

/** Ajv tells patterns from each other by their text. */
const linearPattern = (pattern: string): { test: (text: string) => boolean; toString: () => string } => ({
  test: linearTest(pattern),
  toString: () => pattern,
});

/** The same text for equal values, whatever the order of their members. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_name, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((member) => isDeeper(member, depth - 1));
}
