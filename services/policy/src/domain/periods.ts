/**
 * Calendar periods in the time zone of the budget's workspace; weeks begin on Monday as in ISO 8601, `total` never starts anew. The
 * database decides by its own clock which period a hold falls into: see budget_time in the migrations.
 */
export type BudgetPeriod = "day" | "week" | "month" | "total";

/** Whether this is a time zone of IANA's by name ("Europe/Berlin"); offsets like "+02:00" are none, as they know of no summer. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
