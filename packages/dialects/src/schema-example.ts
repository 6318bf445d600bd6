import type { Json, JsonObject } from "./core.ts";

const MAX_DEPTH = 12;

/**
 * A value that a JSON Schema accepts, always the same one: what models without a model (the echo provider, simulators) answer where a
 * schema is asked for. Understands what structured outputs and tool parameters use (draft 2020-12: type, properties, items, enum, const,
 * anyOf, oneOf, allOf, local $ref, bounds, common formats); `pattern` only where a default or example satisfies it.
 */
export function exampleOfSchema(schema: JsonObject): Json {
  return example(schema, schema, 0);
}

function example(schema: Json | undefined, root: JsonObject, depth: number): Json {
  if (!isObject(schema)) return schema === false ? null : "text";
  const given = firstGiven(schema);
  if (given !== undefined) return given;
  if (typeof schema["$ref"] === "string")
    return depth > MAX_DEPTH ? null : example(resolve(schema["$ref"], root), root, depth + 1);
  const choice = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(choice) && choice.length > 0) {
    // Deep in a recursive schema the way out is the alternative that does not go on.
    const exit = depth > MAX_DEPTH / 2 ? choice.find((one) => isObject(one) && one["type"] === "null") : undefined;
    return example(exit ?? choice[0], root, depth + 1);
  }
  if (Array.isArray(schema["allOf"])) return example(merged(schema, schema["allOf"], root), root, depth + 1);
  return ofType(typeOf(schema), schema, root, depth);
}

function ofType(type: string, schema: JsonObject, root: JsonObject, depth: number): Json {
  switch (type) {
    case "object":
      return objectOf(schema, root, depth);
    case "array":
      return arrayOf(schema, root, depth);
    case "integer":
    case "number":
      return numberOf(schema);
    case "boolean":
      return true;
    case "null":
      return null;
    default:
      return stringOf(schema);
  }
}

function firstGiven(schema: JsonObject): Json | undefined {
  if (schema["const"] !== undefined) return schema["const"];
  if (Array.isArray(schema["enum"]) && schema["enum"].length > 0) return schema["enum"][0];
  if (schema["default"] !== undefined) return schema["default"];
  return Array.isArray(schema["examples"]) ? schema["examples"][0] : undefined;
}

function typeOf(schema: JsonObject): string {
  const { type } = schema;
  // Gemini writes types in capitals.
  if (typeof type === "string") return type.toLowerCase();
  if (Array.isArray(type)) return type.filter((one) => typeof one === "string").find((one) => one !== "null") ?? "null";
  if (schema["properties"] !== undefined) return "object";
  return schema["items"] === undefined ? "string" : "array";
}

function objectOf(schema: JsonObject, root: JsonObject, depth: number): JsonObject {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  const result: JsonObject = {};
  for (const [name, property] of Object.entries(properties)) {
    if (depth > MAX_DEPTH && !required.has(name)) continue;
    Object.defineProperty(result, name, {
      value: example(property, root, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return result;
}

function arrayOf(schema: JsonObject, root: JsonObject, depth: number): Json[] {
  const least = typeof schema["minItems"] === "number" ? Math.min(schema["minItems"], 1000) : 0;
  const count = depth > MAX_DEPTH / 2 ? least : Math.max(least, schema["maxItems"] === 0 ? 0 : 1);
  if (depth > 2 * MAX_DEPTH) return [];
  return Array.from({ length: count }, () => example(schema["items"], root, depth + 1));
}

function numberOf(schema: JsonObject): number {
  const number = (name: string): number | undefined => {
    const value = schema[name];
    return typeof value === "number" ? value : undefined;
  };
  const step = number("multipleOf") ?? 1;
  const above = number("exclusiveMinimum");
  const below = number("exclusiveMaximum");
  const least = number("minimum") ?? (above === undefined ? undefined : above + step);
  const most = number("maximum") ?? (below === undefined ? undefined : below - step);
  const wanted = Math.min(Math.max(step, least ?? step), most ?? Infinity);
  const stepped = Math.ceil(wanted / step) * step;
  return stepped > (most ?? Infinity) ? wanted : stepped;
}

const FORMATS: Readonly<Record<string, string>> = {
  date: "2026-01-01",
  "date-time": "2026-01-01T00:00:00Z",
  time: "00:00:00Z",
  duration: "PT1S",
  email: "user@example.com",
  uri: "https://example.com/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  hostname: "example.com",
};

function stringOf(schema: JsonObject): string {
  const { format } = schema;
  const text = typeof format === "string" && Object.hasOwn(FORMATS, format) ? (FORMATS[format] ?? "text") : "text";
  const least = typeof schema["minLength"] === "number" ? Math.min(schema["minLength"], 10_000) : 0;
  const most = typeof schema["maxLength"] === "number" ? schema["maxLength"] : Infinity;
  return text.padEnd(least, "x").slice(0, most);
}

function merged(schema: JsonObject, all: readonly Json[], root: JsonObject): JsonObject {
  const { allOf: _, ...own } = schema;
  return [...all, own].reduce<JsonObject>((sum, one) => {
    const next = isObject(one) && typeof one["$ref"] === "string" ? resolve(one["$ref"], root) : one;
    if (!isObject(next)) return sum;
    const properties = [sum["properties"], next["properties"]].filter(isObject);
    const required = [sum["required"], next["required"]].filter((list) => Array.isArray(list)).flat();
    const both: JsonObject = { ...sum, ...next };
    if (properties.length > 0) both["properties"] = Object.assign({}, ...properties) as JsonObject;
    if (required.length > 0) both["required"] = required;
    return both;
  }, {});
}

function resolve(reference: string, root: JsonObject): Json | undefined {
  if (!reference.startsWith("#")) return undefined;
  let at: Json | undefined = root;
  for (const step of reference.slice(1).split("/").slice(1)) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) at = at[Number(name)];
    else at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
