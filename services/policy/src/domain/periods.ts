/**
 * Calendar periods in the time zone of the budget's workspace; weeks begin on Monday as in ISO 8601, `total` never starts anew. The
 * database decides by its own clock which period a hold falls into: see budget_time in the migrations.
 */
export type BudgetPeriod = "day" | "week" | "month" | "total";
