import type { Price } from "./price.ts";

const BASIS = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const MASK = (1n << 64n) - 1n;

/**
 * Tells prices apart by what they say (FNV-1a, 64 bits, over their amounts in the order of their names): two records with the same
 * version were priced the same, also when somebody edited a price and kept its name. The version itself does not count.
 */
export function fingerprint(price: Price): string {
  let value = BASIS;
  for (const byte of new TextEncoder().encode(canonical(price))) value = ((value ^ BigInt(byte)) * PRIME) & MASK;
  return value.toString(16).padStart(16, "0");
}

function canonical(price: Price): string {
  const { tiers, tools, ...rest } = price;
  const parts = [amounts(rest), ...tiers.map(amounts), tools === undefined ? "" : amounts(tools)];
  return parts.join("|");
}

/** An absent amount and one of zero are told apart for tools, where they differ; elsewhere zero says as much as nothing. */
function amounts(of: object): string {
  return Object.entries(of)
    .filter(([name, value]) => !name.startsWith("$") && name !== "version" && value !== undefined)
    .filter(([, value]) => typeof value === "bigint" || typeof value === "number" || typeof value === "boolean")
    .map(([name, value]) => `${name}=${String(value)}`)
    .sort()
    .join(",");
}
