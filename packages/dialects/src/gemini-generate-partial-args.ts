import type { Json, JsonObject } from "./core.ts";
import { isObject, output } from "./shape.ts";

/** No call of a model has longer lists; without a bound one index would fill the memory. */
const MAX_INDEX = 10_000;
const STEP = /\.([^.[\]]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]/gy;

/**
 * Puts arguments together that Vertex streams piece by piece: each piece has a JSON path ("$.places[0].name") and a value; text goes on
 * where the piece before it said so.
 */
export class PartialArguments {
  readonly #root: JsonObject = Object.create(null) as JsonObject;

  add(value: Json): void {
    const piece = output.object(value, "partialArgs");
    const path = output.string(piece.jsonPath, "partialArgs.jsonPath");
    const steps = stepsOf(path);
    const last = steps.pop();
    if (last === undefined) throw output.fail("partialArgs.jsonPath", "a path below $");
    let at: JsonObject | Json[] = this.#root;
    for (const [index, step] of steps.entries()) {
      const next = steps[index + 1] ?? last;
      const child = get(at, step);
      if (isObject(child) || Array.isArray(child)) at = child;
      else {
        const made: JsonObject | Json[] = typeof next === "number" ? [] : (Object.create(null) as JsonObject);
        set(at, step, made);
        at = made;
      }
    }
    const given = valueOf(piece);
    const before = get(at, last);
    set(at, last, typeof given === "string" && typeof before === "string" ? before + given : given);
  }

  /** JSON text of what came so far. */
  toString(): string {
    return JSON.stringify(this.#root);
  }
}

function valueOf(piece: JsonObject): Json {
  return piece.stringValue ?? piece.numberValue ?? piece.boolValue ?? (piece.nullValue === undefined ? "" : null);
}

function stepsOf(path: string): (string | number)[] {
  const steps: (string | number)[] = [];
  if (!path.startsWith("$")) throw output.fail("partialArgs.jsonPath", "a path that starts at $");
  STEP.lastIndex = 1;
  while (STEP.lastIndex < path.length) {
    const match = STEP.exec(path);
    if (match === null) throw output.fail("partialArgs.jsonPath", "a path of members and indexes");
    const index = match[2] === undefined ? undefined : Number(match[2]);
    if (index !== undefined && index > MAX_INDEX) throw output.fail("partialArgs.jsonPath", "a shorter list");
    steps.push(index ?? match[1] ?? (match[3] ?? "").replace(/\\(.)/g, "$1"));
  }
  return steps;
}

function get(at: JsonObject | Json[], step: string | number): Json | undefined {
  if (Array.isArray(at)) return typeof step === "number" ? at[step] : undefined;
  return at[String(step)];
}

function set(at: JsonObject | Json[], step: string | number, value: Json): void {
  if (!Array.isArray(at)) at[String(step)] = value;
  else if (typeof step === "number") {
    while (at.length < step) at.push(null);
    at[step] = value;
  } else throw output.fail("partialArgs.jsonPath", "an index into a list");
}
