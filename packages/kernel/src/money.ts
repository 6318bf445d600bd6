declare const unit: unique symbol;

/** Nano-USD: 1e-9 of a dollar, an integer. All money is in it; nothing is rounded before it is shown. */
export type Nanos = bigint & { readonly [unit]: "nano-USD" };

const PER_DOLLAR = 1_000_000_000n;

export const nanos = (amount: bigint): Nanos => amount as Nanos;

/**
 * Reads dollars from a decimal number or text ("100", 0.15, "1e-7"), rounding up to the next nano-dollar so that a price or a charge
 * is never understated.
 * @throws RangeError for what is not a finite number >= 0
 */
export function nanosOfDollars(dollars: number | string): Nanos {
  const text = typeof dollars === "number" ? String(dollars) : dollars.trim();
  const match = /^(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (match === null) throw new RangeError(`not an amount of dollars: ${text}`);
  const fraction = match[2] ?? "";
  const exponent = Number(match[3] ?? 0) - fraction.length + 9;
  const digits = BigInt((match[1] ?? "") + fraction);
  if (exponent >= 0) return nanos(digits * 10n ** BigInt(exponent));
  const divisor = 10n ** BigInt(-exponent);
  return nanos((digits + divisor - 1n) / divisor);
}

/** The amount in dollars as exact decimal text: 1_500_000_000n → "1.5". */
export function dollarsOf(amount: bigint): string {
  const absolute = amount < 0n ? 0n - amount : amount;
  const fraction = (absolute % PER_DOLLAR).toString().padStart(9, "0").replace(/0+$/, "");
  return `${amount < 0n ? "-" : ""}${absolute / PER_DOLLAR}${fraction === "" ? "" : `.${fraction}`}`;
}
