import { type DescMessage, type Message, type MessageShape, toJson } from "@bufbuild/protobuf";

export interface Output {
  /** A message as it came with --json; else what `text` makes of it. */
  message<D extends DescMessage>(schema: D, message: MessageShape<D>, text: (message: MessageShape<D>) => string): void;
  /** A line for people; left out with --json. */
  note(line: string): void;
  line(line: string): void;
}

export function createOutput(write: (text: string) => void, json: boolean): Output {
  const line = (text: string): void => void (text !== "" && write(`${text}\n`));
  return {
    message(schema, message, text) {
      line(
        json
          ? JSON.stringify(toJson(schema, message as Message & MessageShape<typeof schema>), null, 2)
          : text(message),
      );
    },
    note: (text) => (json ? undefined : line(text)),
    line,
  };
}

/** Columns as wide as they need to be; "nothing" for no rows, so that silence is never an answer. */
export function table(head: readonly string[], rows: readonly (readonly (string | number | bigint)[])[]): string {
  if (rows.length === 0) return "(none)";
  const cells = [head, ...rows].map((row) => row.map((cell) => printable(String(cell))));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names come from others: nothing in them may steer a terminal. */
export const printable = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "�");

/** "2026-11-21 12:00:00" in UTC; "–" for 0, which is how the contracts say never. */
export const time = (atMs: bigint): string =>
  atMs === 0n
    ? "–"
    : new Date(Number(atMs))
        .toISOString()
        .replace("T", " ")
        .replace(/\.\d+Z$/, "");

const DAY_MS = 86_400_000n;

/** How long something is kept: "400d"; "for ever" for 0. */
export function keepText(ms: bigint): string {
  if (ms === 0n) return "for ever";
  return ms % DAY_MS === 0n ? `${ms / DAY_MS}d` : `${ms / 60_000n}m`;
}

/** An enum's name without its prefix: OUTCOME_KIND_FAILED → "failed". */
export function enumName(
  schema: { readonly value: Readonly<Record<number, { readonly localName: string }>> },
  value: number,
): string {
  return (schema.value[value]?.localName ?? String(value)).toLowerCase().replaceAll("_", "-");
}
