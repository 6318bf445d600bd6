import type { Json, JsonObject } from "./core.ts";
import { isObject } from "./shape.ts";

/** Depth below which a schema is left as it is: nobody writes such by hand. */
const MAX_DEPTH = 64;

/**
 * Google's Schema (a part of OpenAPI 3.0: types in capitals, `nullable`, 64-bit counts as text) as JSON Schema. Other members mean the
 * same in both.
 */
export function jsonSchemaOf(schema: JsonObject, depth = 0): JsonObject {
  if (depth > MAX_DEPTH) return schema;
  const entries: [string, Json][] = [];
  for (const [key, value] of Object.entries(schema)) {
    if (key === "nullable") continue;
    if (key === "type" && typeof value === "string") {
      if (value === "TYPE_UNSPECIFIED") continue;
      const type = value.toLowerCase();
      entries.push([key, schema.nullable === true ? [type, "null"] : type]);
    } else if (COUNTS.has(key) && typeof value === "string") entries.push([key, Number(value)]);
    else if (key === "properties" && isObject(value))
      entries.push([
        key,
        Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inner(one, depth)] as const)),
      ]);
    else if (key === "items") entries.push([key, inner(value, depth)]);
    else if (LISTS.has(key) && Array.isArray(value)) entries.push([key, value.map((one) => inner(one, depth))]);
    else entries.push([key, value]);
  }
  return Object.fromEntries(entries);
}

const COUNTS = new Set(["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"]);
const LISTS = new Set(["anyOf", "oneOf", "allOf", "prefixItems"]);

const inner = (value: Json, depth: number): Json => (isObject(value) ? jsonSchemaOf(value, depth + 1) : value);
