import type { Json } from "@weir/dialects";

/**
 * JSON with its members in one order, so that requests that say the same are the same text (as RFC 8785 orders, without its rules for
 * numbers: a number that was written otherwise is another request, which costs a hit and never gives a wrong one).
 */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] as Json)}`).join(",")}}`;
}
