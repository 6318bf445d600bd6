/**
 * What a provider will bill for an attempt. Nobody bills for what was not sent or was refused; what was sent and not answered may have
 * been billed in full, and its hold is charged at its bound.
 */
export type Billing = "charged" | "nothing" | "unknown";

/** For an attempt without a usable answer. */
export function billingOf(attempt: {
  /** Whether any byte of the request may have reached the provider. */
  readonly sent: boolean;
  /** The HTTP status; 0: no answer. */
  readonly status: number;
}): Billing {
  const { sent, status } = attempt;
  if (!sent) return "nothing";
  if (status === 0) return "unknown";
  // Made by a proxy in front of the model, which may have finished its work.
  if (status === 502 || status === 504 || status === 524) return "unknown";
  // An error answer; a 2xx without a usable answer was worked on.
  return status >= 400 ? "nothing" : "unknown";
}
