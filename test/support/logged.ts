import { audit } from "@weir/contracts";
import type { Operator } from "./operator.ts";

/** All entries of a kind, newest first. */
export async function allEntries(operator: Pick<Operator, "audit">, kind: audit.RecordKind): Promise<audit.Entry[]> {
  const entries: audit.Entry[] = [];
  let pageToken = "";
  do {
    const page = await operator.audit.list({ kind, pageSize: 1000, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return entries;
}

/** The outcomes the log has, by request id; several of one id are all kept. */
export async function outcomesById(operator: Pick<Operator, "audit">): Promise<Map<string, audit.Outcome[]>> {
  const found = new Map<string, audit.Outcome[]>();
  for (const { record } of await allEntries(operator, audit.RecordKind.OUTCOME)) {
    if (record.case !== "outcome") continue;
    const id = record.value.intent?.requestId ?? "";
    found.set(id, [...(found.get(id) ?? []), record.value]);
  }
  return found;
}
