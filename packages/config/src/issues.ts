import type { z } from "zod";
import type { Path } from "./problems.ts";
import { namesAt } from "./schema-walk.ts";
import { didYouMean } from "./suggest.ts";

type Report = (path: Path, message: string) => void;

/** Tells what a schema found, by path, without the value: it may be secret. */
export function reportIssue(schema: z.core.$ZodType, issue: z.core.$ZodIssue, report: Report): void {
  const path = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
  if (issue.code !== "unrecognized_keys") return report(path, messageOf(issue));
  for (const key of issue.keys) report([...path, key], `is no setting${didYouMean(key, namesAt(schema, path))}`);
}

/** Zod's own texts may quote the value, which may be a key; these never do. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "custom" || issue.code === "invalid_format") return issue.message;
  if (issue.code === "invalid_key") return issue.issues[0]?.message ?? "is not a name";
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "invalid_union") return "must be a text or a number";
  if (issue.code === "too_small") return `is less than ${issue.minimum}${issue.origin === "array" ? " items" : ""}`;
  if (issue.code === "too_big") return `is more than ${issue.maximum}`;
  if (issue.code !== "invalid_type") return issue.message;
  return issue.message.includes("received undefined")
    ? "is missing"
    : `must be ${NOUNS[issue.expected] ?? issue.expected}`;
}

const NOUNS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a map",
  record: "a map",
  array: "a list",
};
