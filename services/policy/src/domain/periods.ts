export type BudgetPeriod = "day" | "week" | "month" | "total";

const DAY_MS = 86_400_000;

/**
 * When the calendar period (UTC, weeks begin on Monday as in ISO 8601) that `nowMs` lies in began; `total` began in 1970. The database
 * decides which period a hold falls into, by its own clock and `period_start` in migrations/0002; a test keeps the two equal.
 */
export function periodStartMs(period: BudgetPeriod, nowMs: number): number {
  switch (period) {
    case "day":
      return Math.floor(nowMs / DAY_MS) * DAY_MS;
    case "week": {
      const day = Math.floor(nowMs / DAY_MS);
      // 1970-01-01 was a Thursday, day 3 of its week.
      return (day - ((((day + 3) % 7) + 7) % 7)) * DAY_MS;
    }
    case "month": {
      const date = new Date(nowMs);
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
    }
    case "total":
      return 0;
  }
}
