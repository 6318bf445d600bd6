import { z } from "zod";
import type { Path } from "./problems.ts";

/** The schema under defaults, options and checks. */
function inner(schema: z.core.$ZodType): z.core.$ZodType {
  let current = schema;
  while (current instanceof z.ZodOptional || current instanceof z.ZodDefault || current instanceof z.ZodPrefault) {
    current = current.unwrap();
  }
  return current;
}

/** The schema of what stands at `path`; undefined where nothing may stand. */
export function schemaAt(root: z.core.$ZodType, path: Path): z.core.$ZodType | undefined {
  let current: z.core.$ZodType | undefined = inner(root);
  for (const step of path) {
    if (current instanceof z.ZodObject) current = current.shape[step] as z.core.$ZodType | undefined;
    else if (current instanceof z.ZodRecord) current = current.valueType;
    else if (current instanceof z.ZodArray) current = current.element;
    else return undefined;
    if (current === undefined) return undefined;
    current = inner(current);
  }
  return current;
}

/** The names an object at `path` may have; empty for what is no object. */
export function namesAt(root: z.core.$ZodType, path: Path): string[] {
  const schema = schemaAt(root, path);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** Every setting's path: the fixed ones, and those below the named things (providers, models, …) that `value` already has. */
export function* settingPaths(schema: z.core.$ZodType, value: unknown, path: Path = []): Generator<Path> {
  const current = inner(schema);
  const held = (name: string): unknown =>
    typeof value === "object" && value !== null && Object.hasOwn(value, name)
      ? value[name as keyof typeof value]
      : undefined;
  if (path.length > 0) yield path;
  if (current instanceof z.ZodObject) {
    for (const [name, below] of Object.entries(current.shape)) {
      yield* settingPaths(below as z.core.$ZodType, held(name), [...path, name]);
    }
  } else if (current instanceof z.ZodRecord && typeof value === "object" && value !== null) {
    for (const name of Object.keys(value)) yield* settingPaths(current.valueType, held(name), [...path, name]);
  }
}
