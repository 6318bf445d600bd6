import { nanosOfDollars } from "@weir/kernel";
import { UsageError } from "./command.ts";

/** What a provider charged for a model on a day, of UTC. */
export interface BillLine {
  readonly day: string;
  /** The provider's name of it; "": it does not say. */
  readonly model: string;
  readonly nanos: bigint;
}

/**
 * Reads a provider's export: OpenAI's (`/v1/organization/costs`) and Anthropic's (`/v1/organizations/cost_report`) answers as JSON, or a table
 * with columns for the day, the model and the dollars, as consoles give them.
 * @throws UsageError where it is none of these
 */
export function readBill(text: string): BillLine[] {
  const trimmed = text.trimStart();
  return trimmed.startsWith("{") || trimmed.startsWith("[") ? readJson(trimmed) : readTable(text);
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);

function readJson(text: string): BillLine[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new UsageError("the file is not valid JSON", { cause });
  }
  const pages = Array.isArray(parsed) ? listOf(parsed) : isFields(parsed) ? [parsed] : [];
  const buckets = pages.flatMap((page) => (Array.isArray(page["data"]) ? listOf(page["data"]) : [page]));
  const lines = buckets.flatMap((bucket) => {
    const results = Array.isArray(bucket["results"]) ? listOf(bucket["results"]) : [bucket];
    return results.map((result): BillLine => {
      const { amount } = result;
      // OpenAI tells dollars in an object, Anthropic hundredths of them as a text.
      const nanos = isFields(amount)
        ? dollars(amount["value"])
        : bucket["results"] === undefined
          ? dollars(result["cost_usd"] ?? result["cost"] ?? amount)
          : dollars(amount) / 100n;
      const start = bucket["start_time"] ?? bucket["starting_at"] ?? result["date"] ?? result["day"];
      return {
        day: dayOf(start),
        model: modelOf(result["model"] ?? result["line_item"] ?? result["description"]),
        nanos,
      };
    });
  });
  if (lines.length === 0) throw new UsageError("the file has no costs");
  return lines;
}

const COLUMNS = {
  day: /^(?:date|day|start_time_iso|start_time|usage_date(?:_utc)?)$/,
  model: /^(?:model|model_version|line_item|description|sku)$/,
  dollars: /^(?:cost_usd|cost|amount|amount_value|usd|cost \(usd\))$/,
};

function readTable(text: string): BillLine[] {
  const [head = [], ...rows] = rowsOf(text);
  const names = head.map((name) => name.trim().toLowerCase());
  const column = (name: keyof typeof COLUMNS): number => {
    const at = names.findIndex((one) => COLUMNS[name].test(one));
    if (at === -1) throw new UsageError(`the table has no column for the ${name} (it has ${names.join(", ")})`);
    return at;
  };
  const [day, model, cost] = [column("day"), column("model"), column("dollars")];
  return rows.map((row) => ({ day: dayOf(row[day]), model: modelOf(row[model]), nanos: dollars(row[cost]) }));
}

/** RFC 4180. */
function rowsOf(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (row.some((cell) => cell !== "")) rows.push(row);
    row = [];
  }
  return rows;
}

function dollars(value: unknown): bigint {
  const text = typeof value === "number" ? String(value) : typeof value === "string" ? value.replace(/^\$/, "") : "";
  try {
    // Credits are negative.
    return text.startsWith("-") ? 0n - nanosOfDollars(text.slice(1)) : nanosOfDollars(text);
  } catch (cause) {
    throw new UsageError(`not an amount of dollars: ${JSON.stringify(value) ?? "nothing"}`, { cause });
  }
}

function dayOf(value: unknown): string {
  const seconds =
    typeof value === "number" ? value : typeof value === "string" && /^\d{9,}$/.test(value) ? Number(value) : undefined;
  const ms = seconds === undefined ? Date.parse(typeof value === "string" ? value : "") : seconds * 1000;
  if (Number.isNaN(ms)) throw new UsageError(`not a day: ${JSON.stringify(value) ?? "nothing"}`);
  return new Date(ms).toISOString().slice(0, 10);
}

/** "gpt-4o-2024-08-06, input" is one of the lines of a model. */
const modelOf = (value: unknown): string => (typeof value === "string" ? (value.split(",")[0] ?? "").trim() : "");

export interface Drift {
  readonly day: string;
  readonly model: string;
  readonly billNanos: bigint;
  readonly logNanos: bigint;
}

/** Of the log: a day's cost of a model as the provider calls it. */
export interface LogLine {
  readonly day: string;
  readonly model: string;
  readonly nanos: bigint;
}

/**
 * The bill beside the log, by day and model. Providers bill by dated names (gpt-4o-2024-08-06) what is asked for by shorter ones: a line of
 * the bill counts for the longest name of the log that it begins with.
 */
export function driftOf(bill: readonly BillLine[], log: readonly LogLine[]): Drift[] {
  const names = [...new Set(log.map(({ model }) => model))].sort((one, other) => other.length - one.length);
  const sums = new Map<string, { day: string; model: string; billNanos: bigint; logNanos: bigint }>();
  const sumOf = (day: string, model: string) => {
    const key = JSON.stringify([day, model]);
    let sum = sums.get(key);
    if (sum === undefined) sums.set(key, (sum = { day, model, billNanos: 0n, logNanos: 0n }));
    return sum;
  };
  for (const { day, model, nanos } of log) sumOf(day, model).logNanos += nanos;
  for (const { day, model, nanos } of bill)
    sumOf(day, names.find((name) => model.startsWith(name)) ?? model).billNanos += nanos;
  return [...sums.values()].sort(
    (one, other) => one.day.localeCompare(other.day) || one.model.localeCompare(other.model),
  );
}

/** In hundredths of a percent of the bill. */
export const driftBasisPoints = (billNanos: bigint, logNanos: bigint): bigint =>
  billNanos === 0n ? (logNanos === 0n ? 0n : 10_000n) : ((logNanos - billNanos) * 10_000n) / billNanos;
