import { Ajv2020 } from "ajv/dist/2020.js";
import { WeirError } from "@weir/kernel";

/**
 * Compiled once, when the service starts: a schema costs nothing per request but its checks.
 * @returns whether a text is JSON of the schema (2020-12); fenced JSON, as models write it, counts
 * @throws WeirError invalid_request
 */
export function jsonSchemaCheck(
  guardrail: string,
  schema: Readonly<Record<string, unknown>>,
): (text: string) => boolean {
  const compiled = (() => {
    try {
      return new Ajv2020({ strict: false, allErrors: false, validateFormats: false }).compile(schema);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : "it cannot be compiled";
      throw new WeirError("invalid_request", `The schema of the guardrail "${guardrail}" is wrong: ${message}`, {
        cause,
      });
    }
  })();
  return (text) => {
    const [, fenced] = /^\s*```(?:json)?\n([^]*)\n```\s*$/.exec(text) ?? [];
    try {
      return compiled(JSON.parse(fenced ?? text));
    } catch {
      // What is no JSON fails every schema.
      return false;
    }
  };
}
