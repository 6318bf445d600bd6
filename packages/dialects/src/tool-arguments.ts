import type { Json, JsonObject } from "./core.ts";
import { isObject } from "./shape.ts";

/**
 * Arguments are text in the core and an object in some dialects. Models do write broken JSON; it is carried under this key, since nothing
 * of a call may be lost.
 */
const INVALID = "INVALID_JSON";

/** JSON text of a call's arguments object. */
export function argumentsText(value: Json | undefined): string {
  if (isObject(value)) {
    const raw = value[INVALID];
    if (typeof raw === "string" && Object.keys(value).length === 1) return raw;
  }
  return JSON.stringify(value ?? {});
}

/** The object that the arguments are. */
export function argumentsObject(text: string): JsonObject {
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { [INVALID]: text };
  }
  return isObject(value) ? value : { [INVALID]: text };
}
