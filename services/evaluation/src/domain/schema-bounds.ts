import { WeirError } from "@weir/kernel";

/** Their members' names are no keywords. */
const NAMED = new Set(["properties", "patternProperties", "dependentSchemas"]);
/** No schemas: values, and what counts where it is referred to. */
const NO_SCHEMAS = new Set(["const", "enum", "default", "examples", "$defs", "definitions"]);
/** Subschemas, each counted as often as it is referred to. */
const MOST_SUBSCHEMAS = 5_000;

/**
 * Refuses schemas whose checks could take more than linear time: one that refers to itself may look at the same value in two ways at each
 * depth, which is exponential in the answer's. Others look at each value a number of times that the schema's size bounds.
 * @throws WeirError invalid_request
 */
export function requireBounded(schema: unknown): void {
  const sizes = new Map<string, number>();
  const open = new Set<string>();
  const size = sizeOf(schema);
  if (size > MOST_SUBSCHEMAS)
    throw refused(`it has more than ${MOST_SUBSCHEMAS} parts, counting each as often as it is referred to`);

  function sizeOf(value: unknown): number {
    if (typeof value !== "object" || value === null) return 0;
    let total = 1;
    for (const [name, member] of Object.entries(value)) {
      if (NO_SCHEMAS.has(name)) continue;
      if (/^\$(dynamic|recursive)Ref$/.test(name)) throw refused(`\`${name}\` is not supported`);
      if (name === "$ref" && typeof member === "string") total += referred(member);
      else if (!NAMED.has(name) || typeof member !== "object" || member === null) total += sizeOf(member);
      else for (const one of Object.values(member)) total += sizeOf(one);
      if (total > MOST_SUBSCHEMAS) return total;
    }
    return total;
  }

  function referred(reference: string): number {
    const known = sizes.get(reference);
    if (known !== undefined) return known;
    if (open.has(reference)) throw refused("it refers to itself");
    open.add(reference);
    const found = sizeOf(targetOf(schema, reference));
    open.delete(reference);
    sizes.set(reference, found);
    return found;
  }
}

/** @throws WeirError invalid_request for what is no JSON pointer into it (RFC 6901) */
function targetOf(schema: unknown, reference: string): unknown {
  if (reference !== "#" && !reference.startsWith("#/")) throw refused("a $ref leads out of it, or to a name");
  let target = schema;
  for (const step of reference.split("/").slice(1)) {
    const name = decoded(step).replaceAll("~1", "/").replaceAll("~0", "~");
    target =
      typeof target === "object" && target !== null && Object.hasOwn(target, name)
        ? Reflect.get(target, name)
        : undefined;
  }
  if (target === undefined) throw refused("a $ref leads nowhere");
  return target;
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    throw refused("a $ref leads nowhere");
  }
}

const refused = (why: string): WeirError => new WeirError("invalid_request", `${why}.`, { param: "definition" });
