import { dollarsOf } from "@weir/kernel";
import type { WarningRow } from "./books.ts";

/** After so many attempts, the last of them a day and a half after the first, a delivery is given up. */
const MOST_ATTEMPTS = 16;
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 4 * 3_600_000;

/** How long to wait after an attempt that failed; undefined: given up. */
export function nextAttemptInMs(attempts: number, random: number): number | undefined {
  if (attempts >= MOST_ATTEMPTS) return undefined;
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempts - 1));
  return longest / 2 + (random * longest) / 2;
}

/** What a webhook is told. Amounts of money in dollars, as text: they are exact. */
export function webhookBody(warning: WarningRow): string {
  const amount = (value: bigint): string | number => (warning.unit === "nano-usd" ? dollarsOf(value) : Number(value));
  return JSON.stringify({
    type: "budget.warning",
    id: warning.id,
    timestamp: new Date(warning.atMs).toISOString(),
    data: {
      workspace: warning.workspace,
      budget: {
        id: String(warning.budgetId),
        place: warning.place.kind,
        place_id: warning.place.id,
        unit: warning.unit === "nano-usd" ? "usd" : warning.unit,
        period: warning.period,
        period_start: new Date(warning.periodStartMs).toISOString(),
        per: warning.per,
        subject: warning.subject,
        hard: warning.hard,
      },
      percent: warning.percent,
      spent: amount(warning.spent),
      limit: amount(warning.limit),
    },
  });
}

/** What is signed by the Standard Webhooks specification, v1: id, seconds and body. */
export const signedText = (id: string, seconds: number, body: string): string => `${id}.${seconds}.${body}`;
