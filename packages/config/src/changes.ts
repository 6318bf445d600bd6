import { Secret } from "@weir/kernel";
import type { WeirConfig } from "./types.ts";

/** Which of the configuration's parts differ, by the names they have in it. Secrets are compared by what they hold. */
export function changedParts(before: WeirConfig, after: WeirConfig): (keyof WeirConfig)[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof WeirConfig>;
  return [...names].filter((name) => textOf(before[name]) !== textOf(after[name]));
}

/** Equal for values that are equal, and for nothing else a configuration can hold. Never shown: it has the secrets in clear. */
function textOf(value: unknown): string {
  return (
    JSON.stringify(value, (_name, part: unknown) => {
      if (typeof part === "bigint") return `${part}n`;
      if (part instanceof Map) return [...part];
      return part;
    }) + secretsIn(value).join("\0")
  );
}

/** In the order in which they stand; JSON hides them. */
function secretsIn(value: unknown): string[] {
  if (value instanceof Secret) return [value.reveal()];
  if (value instanceof Map) return [...value.values()].flatMap(secretsIn);
  if (typeof value === "object" && value !== null) return Object.values(value).flatMap(secretsIn);
  return [];
}
