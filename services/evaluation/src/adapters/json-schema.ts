import { linearTest } from "@weir/guardrails";
import { WeirError } from "@weir/kernel";
import { Ajv2020 } from "ajv/dist/2020.js";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { SchemaCheck } from "../domain/record-evaluators.ts";
import { requireBounded } from "../domain/schema-bounds.ts";

/**
 * A check whose time is linear in the answer, which somebody hostile may have written: `pattern` runs without backtracking, `uniqueItems` compares no
 * two items, and no schema refers to itself.
 * @param text JSON Schema 2020-12 @throws WeirError invalid_request where it cannot be used
 */
export function compileSchema(text: string): SchemaCheck {
  try {
    const schema: unknown = JSON.parse(text);
    // Apart, because the schema of schemas has patterns of its own.
    const meta = new Ajv2020({ strict: false, validateFormats: false, logger: false });
    if (!isSchema(schema) || meta.validateSchema(schema) !== true) throw new Error(meta.errorsText(meta.errors));
    requireBounded(schema);
    const ajv = new Ajv2020({
      validateSchema: false,
      strict: false,
      validateFormats: false,
      logger: false,
      code: { regExp: Object.assign(linearPattern, { code: "linearPattern" }) },
    });
    // Ajv compares each with each.
    ajv.removeKeyword("uniqueItems").addKeyword({
      keyword: "uniqueItems",
      type: "array",
      schemaType: "boolean",
      validate: (wanted: boolean, items: unknown[]) =>
        !wanted || new Set(items.map((item) => canonicalJson(item))).size === items.length,
    });
    const check = ajv.compile(schema);
    return (value) => {
      try {
        return check(value) ? undefined : (check.errors?.[0]?.schemaPath ?? "#");
      } catch (error) {
        if (error instanceof RangeError || error instanceof WeirError) return "nested too deep";
        throw error;
      }
    };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "it cannot be compiled";
    throw new WeirError("invalid_request", `The schema cannot be used: ${message}`, { param: "definition", cause });
  }
}

/** Ajv tells patterns from each other by their text. */
const linearPattern = (pattern: string): { test: (text: string) => boolean; toString: () => string } => ({
  test: linearTest(pattern),
  toString: () => pattern,
});

const isSchema = (value: unknown): value is boolean | Record<string, unknown> =>
  typeof value === "boolean" || (typeof value === "object" && value !== null && !Array.isArray(value));
