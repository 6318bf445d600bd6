import { WeirError } from "@weir/kernel";
import { canonicalJson } from "./canonical-json.ts";

export type Label = "pass" | "fail";

/** What was asked and what was answered: a line of a dataset. */
export interface DatasetRecord {
  /** Names it within its dataset, and pairs it with the same case in another one. */
  readonly id: string;
  /** What was asked, in any shape; evaluators of answers do not read it. */
  readonly input: unknown;
  /** Undefined: there is none to judge. */
  readonly answer: string | undefined;
  /** What a good answer says. */
  readonly reference: string | undefined;
  /** What a person said of the answer. */
  readonly label: Label | undefined;
}

/** A record with its one text, from which the dataset's digest is made. */
export interface DatasetLine {
  readonly id: string;
  readonly text: string;
}

export const MAX_LINE_BYTES = 1_048_576;
const FIELDS = new Set(["id", "input", "answer", "reference", "label"]);
const ID = /^[\x21-\x7e]{1,200}$/;

/**
 * A line of JSON Lines as it is kept: {"id", "input", "answer"?, "reference"?}. `at` is its number from 0, for messages.
 * @throws WeirError invalid_request for what is no such record; the message quotes none of its text
 */
export function parseLine(line: string, at: number): DatasetLine {
  const wrong = (what: string): WeirError =>
    new WeirError("invalid_request", `Line ${at + 1}: ${what}`, { param: "lines" });
  if (line.length > MAX_LINE_BYTES) throw wrong(`longer than ${MAX_LINE_BYTES} bytes.`);
  const value = parsed(line);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("no JSON object.");
  const record = value as Readonly<Record<string, unknown>>;
  if (Object.keys(record).some((name) => !FIELDS.has(name)))
    throw wrong("has a field beside id, input, answer, reference, label.");
  const { id, answer, reference, label } = record;
  if (typeof id !== "string" || !ID.test(id)) throw wrong("`id` is no text of 1 to 200 printable ASCII characters.");
  if (!Object.hasOwn(record, "input")) throw wrong("`input` is missing.");
  if (answer !== undefined && typeof answer !== "string") throw wrong("`answer` is no text.");
  if (reference !== undefined && typeof reference !== "string") throw wrong("`reference` is no text.");
  if (label !== undefined && label !== "pass" && label !== "fail") throw wrong('`label` is neither "pass" nor "fail".');
  return { id, text: canonicalJson(record) };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // the parser's own words quote the text
  }
}

/** Reads back what `parseLine` made. */
export function recordOf(text: string): DatasetRecord {
  const { id, input, answer, reference, label } = JSON.parse(text) as DatasetRecord;
  return { id, input, answer, reference, label };
}

/** A request of the audit log: its texts stay there. `leaf` is the hex of its record's leaf hash, which says whether it is the same one. */
export interface RecordedRef {
  readonly record: string;
  readonly leaf: string;
}

export const recordedLine = ({ record, leaf }: RecordedRef): DatasetLine => ({
  id: record,
  text: canonicalJson({ leaf, record }),
});

export const recordedRefOf = (text: string): RecordedRef => JSON.parse(text) as RecordedRef;

/** Whose SHA-256 begins every chain. */
export const CHAIN_START = "weir.dataset.v1\n";

/**
 * Whose SHA-256 is the chain after this line: the chain before it, then the line. A digest has a fixed length, so no two sequences of
 * lines make the same input; a snapshot that grows by chunks is addressed by its content without reading it twice.
 */
export const chainInput = (before: string, line: DatasetLine): string => `${before}\n${line.text}`;
