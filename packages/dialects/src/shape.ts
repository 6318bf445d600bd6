import { WeirError } from "@weir/kernel";
import type { Extra, Json, JsonObject, ProviderDialectName } from "./core.ts";

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads values of unchecked JSON. A null is taken for absence, as providers do. Every failure names the place at fault, as the caller
 * wrote it (`messages[2].content`).
 */
export class Shape {
  readonly #reason: "invalid_request" | "provider_bad_response";

  constructor(reason: "invalid_request" | "provider_bad_response") {
    this.#reason = reason;
  }

  fail(path: string, expected: string): WeirError {
    if (this.#reason === "invalid_request")
      return new WeirError(this.#reason, `${path}: expected ${expected}`, { param: path });
    return new WeirError(this.#reason, `the provider's answer cannot be read: ${path}: expected ${expected}`);
  }

  object(value: Json | undefined, path: string): JsonObject {
    if (isObject(value)) return value;
    throw this.fail(path, "an object");
  }

  list(value: Json | undefined, path: string): Json[] {
    if (Array.isArray(value)) return value;
    throw this.fail(path, "a list");
  }

  string(value: Json | undefined, path: string): string {
    if (typeof value === "string") return value;
    throw this.fail(path, "a string");
  }

  optionalObject(value: Json | undefined, path: string): JsonObject | undefined {
    return value === undefined || value === null ? undefined : this.object(value, path);
  }

  optionalList(value: Json | undefined, path: string): Json[] | undefined {
    return value === undefined || value === null ? undefined : this.list(value, path);
  }

  optionalString(value: Json | undefined, path: string): string | undefined {
    return value === undefined || value === null ? undefined : this.string(value, path);
  }

  optionalBoolean(value: Json | undefined, path: string): boolean | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "boolean") return value;
    throw this.fail(path, "true or false");
  }

  optionalNumber(value: Json | undefined, path: string): number | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.fail(path, "a number");
  }

  optionalInteger(value: Json | undefined, path: string, least = Number.MIN_SAFE_INTEGER): number | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
    throw this.fail(path, least === Number.MIN_SAFE_INTEGER ? "an integer" : `an integer of at least ${least}`);
  }
}

/** For what a client sent. */
export const input = new Shape("invalid_request");
/** For what a provider sent. */
export const output = new Shape("provider_bad_response");

/** Names written one after the other, as a set. */
export const names = (...texts: string[]): ReadonlySet<string> => new Set(texts.flatMap((text) => text.split(" ")));

/** The members that `known` does not name; undefined where there are none. */
export function unknownFields(object: JsonObject, known: ReadonlySet<string>): JsonObject | undefined {
  let entries: [string, Json][] | undefined;
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (!known.has(key) && value !== undefined) (entries ??= []).push([key, value]);
  }
  // Object.fromEntries defines members, so that one called __proto__ is only a member.
  return entries === undefined ? undefined : Object.fromEntries(entries);
}

/** An Extra, or undefined where there is nothing to keep. */
export function extraOf(
  dialect: ProviderDialectName,
  fields: JsonObject | undefined,
  spelling?: JsonObject,
): Extra | undefined {
  if (spelling !== undefined) return { dialect, fields: fields ?? {}, spelling };
  return fields === undefined ? undefined : { dialect, fields };
}

/** The fields that may be written out again: those of the same dialect. */
export const fieldsFor = (dialect: ProviderDialectName, extra: Extra | undefined): JsonObject | undefined =>
  extra?.dialect === dialect ? extra.fields : undefined;

/** The spelling to follow, where it is the same dialect's. */
export const spellingFor = (dialect: ProviderDialectName, extra: Extra | undefined): JsonObject | undefined =>
  extra?.dialect === dialect ? extra.spelling : undefined;

/**
 * Names the fields of another dialect, which stay behind: "logit_bias", "messages[2].content[0].cache_control". A name is the client's
 * own spelling below the core's path to it: `messages[i]`, `messages[i].content[j]`, `tools[i]`; core fields are named in snake case.
 */
export function describeDropped(
  dialect: ProviderDialectName,
  extra: Extra | undefined,
  path: string,
  dropped: string[],
): void {
  if (extra === undefined || extra.dialect === dialect) return;
  for (const key of Object.keys(extra.fields))
    if (!isNothing(extra.fields[key])) dropped.push(path === "" ? key : `${path}.${key}`);
}

/** Null, and lists and objects of nothing but nulls: leaving them behind loses nothing. */
function isNothing(value: Json | undefined): boolean {
  if (typeof value !== "object" || value === null) return value === null || value === undefined;
  return Object.values(value).every(isNothing);
}
