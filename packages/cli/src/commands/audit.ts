import { audit } from "@weir/contracts";
import { dollarsOf } from "@weir/kernel";
import { RECORD_OPTIONS, RECORD_USAGE, recordFilter } from "../audit/record-flags.ts";
import { type Command, type Flags, wholeNumber } from "../command.ts";
import { instant } from "../instant.ts";
import { enumName, keepText, printable, table, time } from "../output.ts";

const range = (flags: Flags) => ({
  fromMs: instant("from", flags.text("from")),
  toMs: instant("to", flags.text("to")),
});

/** "records 400d, payloads 30d" */
export function keptText({ inherits, recordsMs, payloadsMs }: audit.RetentionPolicy): string {
  return inherits ? "the default" : `records ${keepText(recordsMs)}, payloads ${keepText(payloadsMs)}`;
}

/** What the columns show, whatever kind of record it is. */
function entryRow(entry: audit.Entry): (string | bigint)[] {
  const kind = enumName(audit.RecordKindSchema, entry.kind);
  const { record } = entry;
  switch (record.case) {
    case "outcome": {
      const { intent, atMs, status, result, kind: ended } = record.value;
      const served = result?.served === undefined ? "" : `${result.served.provider}/${result.served.model}`;
      const how = `${enumName(audit.OutcomeKindSchema, ended)} ${status || ""}`.trim();
      return [
        entry.index,
        time(atMs),
        kind,
        intent?.requestId ?? "",
        intent?.model ?? "",
        served,
        how,
        `$${dollarsOf(result?.costNanos ?? 0n)}`,
      ];
    }
    case "intent":
      return [entry.index, time(record.value.atMs), kind, record.value.requestId, record.value.model, "", "", ""];
    case "refusal": {
      const { atMs, requestId, model, rule, count } = record.value;
      return [entry.index, time(atMs), kind, requestId, model, "", rule, count > 1 ? `× ${count}` : ""];
    }
    case "epochOpen":
    case "mark":
    case "epochClose":
      return [entry.index, time(record.value.atMs), kind, "", "", "", entry.producer, ""];
    case "erasure": {
      const { atMs, erasureId, stage, payloads } = record.value;
      const how = enumName(audit.ErasureStageSchema, stage);
      return [entry.index, time(atMs), kind, erasureId, "", "", how, `${payloads} payloads`];
    }
    case "retention": {
      const { atMs, workspaceId, subject, count } = record.value;
      const what = enumName(audit.RetentionSubjectSchema, subject);
      return [entry.index, time(atMs), kind, workspaceId, "", "", `${count} ${what} removed`, ""];
    }
    case "retentionPolicy":
      return [entry.index, time(record.value.atMs), kind, record.value.workspaceId, "", "", keptText(record.value), ""];
    case "legalHold":
    case "legalHoldRelease": {
      const { atMs, id, reason } = record.value;
      return [entry.index, time(atMs), kind, id, "", "", printable(reason), ""];
    }
    case "signature":
      return [entry.index, "", kind, "", "", "", entry.producer, ""];
    case "quarantined":
      return [entry.index, "", kind, "", "", "", `${entry.producer} #${entry.number}`, `${record.value.length} bytes`];
    case undefined:
      return [entry.index, "", kind, "", "", "", `${entry.producer} #${entry.number}`, ""];
  }
}
const entryTable = (entries: readonly audit.Entry[]): string =>
  table(["INDEX", "TIME (UTC)", "KIND", "REQUEST", "MODEL", "SERVED BY", "OUTCOME", "COST"], entries.map(entryRow));

function payloadText({ payload, payloadOmitted, payloadErased }: audit.Entry): string[] {
  if (payloadErased) return ["(what was said was erased)"];
  if (payload === undefined)
    return [payloadOmitted ? "(what was said was omitted)" : "(nothing of what was said is kept)"];
  return [bodyText("request", payload.request), bodyText("answer", payload.answer)];
}

function bodyText(name: string, body: audit.Body | undefined): string {
  if (body === undefined) return `\n${name}: none`;
  const { contentType, data, size, omitted } = body;
  const head = `\n${name}: ${printable(contentType)}, ${size} bytes`;
  if (omitted) return `${head}, omitted: they did not fit`;
  if (contentType.startsWith("application/protobuf")) return `${head}; --json shows them in base64`;
  const lines = Buffer.from(data).toString("utf8").replaceAll("\r\n", "\n").replaceAll("\t", "  ").split("\n");
  return `${head}\n${lines.map(printable).join("\n")}`;
}

export const auditCommands: readonly Command[] = [
  {
    name: "audit get",
    usage: "<request id> [--payload]",
    summary: "everything the log has of a request; with what was said, where its workspace keeps that",
    words: { least: 1, most: 1 },
    options: { payload: { type: "boolean" } },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const includePayload = flags.on("payload");
      const found = await client(audit.AuditService).get({ requestId: args[0] ?? "", includePayload }, call);
      output.message(audit.GetResponseSchema, found, ({ entries }) =>
        [entryTable(entries), ...(includePayload ? entries.flatMap(payloadText) : [])].join("\n"),
      );
    },
  },
  {
    name: "audit list",
    usage: `${RECORD_USAGE} [--limit 50] [--page TOKEN]`,
    summary: "records, newest first",
    options: { ...RECORD_OPTIONS, limit: { type: "string" }, page: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(audit.AuditService).list(
        {
          ...recordFilter(flags),
          pageSize: Number(wholeNumber("--limit", flags.text("limit") ?? "50", 1n)),
          pageToken: flags.text("page") ?? "",
        },
        call,
      );
      output.message(audit.ListResponseSchema, found, ({ entries }) => entryTable(entries));
      if (found.nextPageToken !== "") output.note(`more: --page ${found.nextPageToken}`);
    },
  },
  {
    name: "audit gaps",
    usage: "",
    summary: "numbers that no record accounts for; exit code 1 if there are any",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(audit.AuditService).gaps({}, call);
      output.message(audit.GapsResponseSchema, found, ({ gaps }) =>
        table(
          ["PRODUCER", "FIRST", "LAST"],
          gaps.map(({ producer, first, last }) => [producer, first, last]),
        ),
      );
      if (found.gaps.length > 0) throw new Error(`records are missing in ${found.gaps.length} places`);
    },
  },
  {
    name: "audit summary",
    usage: "[--workspace-id ID] [--from 30d] [--to T]",
    summary: "requests, tokens and cost by model",
    options: { "workspace-id": { type: "string" }, from: { type: "string" }, to: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const workspaceId = flags.text("workspace-id") ?? "";
      const found = await client(audit.AuditService).summarize({ workspaceId, ...range(flags) }, call);
      output.message(audit.SummarizeResponseSchema, found, ({ models }) =>
        table(
          ["PROVIDER", "MODEL", "REQUESTS", "FAILED", "INPUT TOKENS", "OUTPUT TOKENS", "COST"],
          models.map((of) => [
            of.provider,
            of.model,
            of.requests,
            of.failed,
            of.inputTokens,
            of.outputTokens,
            `$${dollarsOf(of.costNanos)}`,
          ]),
        ),
      );
    },
  },
];
