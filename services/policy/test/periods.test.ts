import { type BackingPostgres, startPostgres } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BudgetPeriod } from "../src/domain/periods.ts";
import { ledgerFixture, type LedgerFixture } from "./ledger-fixture.ts";

let postgres: BackingPostgres;
let fixture: LedgerFixture;

beforeAll(async () => {
  postgres = await startPostgres();
  fixture = await ledgerFixture(await postgres.freshDatabase());
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Clocks that change at midnight, go back over it, change by half an hour, at one minute past; and a day that Samoa left out. */
const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/Sao_Paulo",
  "America/Havana",
  "America/St_Johns",
  "Asia/Beirut",
  "Africa/Cairo",
  "Australia/Lord_Howe",
  "Pacific/Apia",
  "Asia/Kathmandu",
  "Pacific/Kiritimati",
  "Asia/Tehran",
];

const formats = new Map<string, Intl.DateTimeFormat>();

/** The local date at an instant, as the UTC midnight of that date. */
function localDate(zone: string, atMs: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
    formats.set(zone, format);
  }
  return Date.parse(format.format(atMs));
}

/** The instant from which on it is never earlier than this date, by looking at the clock minute for minute. */
function beginOf(zone: string, date: number): number {
  let at = date + 15 * 60 * MINUTE;
  while (localDate(zone, at - 60 * MINUTE) >= date) at -= 60 * MINUTE;
  // Clocks go back by three hours at most.
  let begin = at;
  for (const least = at - 4 * 60 * MINUTE; at > least; at -= MINUTE)
    if (localDate(zone, at) >= date) begin = at;
    else break;
  return begin;
}

const startDate = (period: BudgetPeriod, date: number): number => {
  if (period === "week") return date - ((new Date(date).getUTCDay() + 6) % 7) * DAY;
  return period === "month" ? Date.UTC(new Date(date).getUTCFullYear(), new Date(date).getUTCMonth(), 1) : date;
};
const nextDate = (period: BudgetPeriod, date: number): number =>
  period === "month"
    ? Date.UTC(new Date(date).getUTCFullYear(), new Date(date).getUTCMonth() + 1, 1)
    : date + (period === "week" ? 7 : 1) * DAY;

/** The period around an instant: the last one that had begun by then. */
function expected(period: BudgetPeriod, zone: string, atMs: number): [number, number] {
  let date = startDate(period, localDate(zone, atMs));
  if (beginOf(zone, date) > atMs) date = startDate(period, date - DAY);
  return [beginOf(zone, date), beginOf(zone, nextDate(period, date))];
}

async function inDatabase(period: BudgetPeriod, zone: string, atMs: number): Promise<[number, number]> {
  const { rows } = await fixture.pool.query<{ start: string; end: string }>(
    `select extract(epoch from start_at) * 1000 as start, extract(epoch from end_at) * 1000 as end
      from budget_time($1, to_timestamp($2::float8 / 1000), $3)`,
    [period, atMs, zone],
  );
  return [Number(rows[0]?.start), Number(rows[0]?.end)];
}

test("periods are those of the calendar of their zone, whatever its clocks do", async () => {
  // Up to a year that all time zone databases agree about.
  const instant = fc.integer({ min: Date.UTC(2001, 0, 1) / MINUTE, max: Date.UTC(2022, 0, 1) / MINUTE });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ZONES),
      fc.constantFrom<BudgetPeriod>("day", "week", "month"),
      instant,
      async (zone, period, minute) => {
        expect(await inDatabase(period, zone, minute * MINUTE)).toEqual(expected(period, zone, minute * MINUTE));
      },
    ),
    { numRuns: 1000 },
  );
});

test.each([
  ["the hour that Berlin has twice", "Europe/Berlin", Date.UTC(2020, 9, 25, 0, 30)],
  ["the midnight that São Paulo left out", "America/Sao_Paulo", Date.UTC(2018, 10, 4, 3)],
  ["the evening that São Paulo had twice", "America/Sao_Paulo", Date.UTC(2018, 1, 18, 1, 30)],
  ["the midnight that Havana has twice, the first time", "America/Havana", Date.UTC(2020, 10, 1, 4, 30)],
  ["the midnight that Havana has twice, the second time", "America/Havana", Date.UTC(2020, 10, 1, 5, 30)],
  ["the first minute of a day that St John's went back from", "America/St_Johns", Date.UTC(2006, 9, 29, 2, 30, 30)],
  ["the day before the one that Samoa left out", "Pacific/Apia", Date.UTC(2011, 11, 30, 9)],
  ["the day after the one that Samoa left out", "Pacific/Apia", Date.UTC(2011, 11, 30, 10)],
])("%s", async (_name, zone, atMs) => {
  const [start, end] = await inDatabase("day", zone, atMs);
  expect([start, end]).toEqual(expected("day", zone, atMs));
  expect(start).toBeLessThanOrEqual(atMs);
  expect(end).toBeGreaterThan(atMs);
});
