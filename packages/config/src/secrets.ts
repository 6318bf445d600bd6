import { readFileSync } from "node:fs";
import type { Environment } from "./environment.ts";

/**
 * Follows a reference: `env:NAME`, `file:/path` (its last line break is not part of it); anything else is the value itself.
 * @throws RangeError with a text that names the place and never the value
 */
export function resolveReference(reference: string, env: Environment): string {
  const [, scheme, place = ""] = /^(env|file|vault|aws):(.*)$/s.exec(reference) ?? [];
  switch (scheme) {
    case undefined:
      return reference;
    case "env": {
      const value = env[place] ?? "";
      if (value === "") throw new RangeError(`the environment variable ${place} is not set`);
      return value;
    }
    case "file":
      return fromFile(place);
    default:
      throw new RangeError(`${scheme}: references are not supported yet; use env: or file:`);
  }
}

function fromFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new RangeError(`the file ${path} cannot be read (${code})`, { cause: error });
  }
  if (text === "") throw new RangeError(`the file ${path} is empty`);
  return text;
}
