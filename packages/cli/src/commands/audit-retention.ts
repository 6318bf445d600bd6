import { durationMs } from "@weir/config";
import { audit } from "@weir/contracts";
import { workspaceIdOf } from "../audit/record-flags.ts";
import { type Command, type Flags, required, UsageError } from "../command.ts";
import { instant } from "../instant.ts";
import { enumName, keepText, table, time } from "../output.ts";
import { keptText } from "./audit.ts";

const WORKSPACE = { workspace: { type: "string" }, "workspace-id": { type: "string" } } as const;
const DEFAULT_NAME = "(default)";

/** "400d" or "forever". */
function kept(flags: Flags, name: string): bigint {
  const text = flags.text(name) ?? "forever";
  if (text === "forever") return 0n;
  try {
    return BigInt(durationMs(text));
  } catch {
    throw new UsageError(`--${name} is a time like 400d, or forever`);
  }
}

const stateTable = (states: readonly audit.RetentionState[]): string =>
  table(
    ["WORKSPACE", "KEEPS", "SINCE (UTC)", "IN FORCE NOW", "RECORD"],
    states.map(({ policy, effectiveRecordsMs, effectivePayloadsMs, index }) => [
      policy?.workspaceId || DEFAULT_NAME,
      policy === undefined ? "" : keptText(policy),
      time(policy?.atMs ?? 0n),
      `records ${keepText(effectiveRecordsMs)}, payloads ${keepText(effectivePayloadsMs)}`,
      index,
    ]),
  );

const holdTable = (holds: readonly audit.LegalHoldState[]): string =>
  table(
    ["ID", "WORKSPACE", "KEY", "FROM (UTC)", "TO (UTC)", "PLACED (UTC)", "RELEASED (UTC)", "REASON"],
    holds.map(({ hold, release }) => [
      hold?.id ?? "",
      hold?.workspaceId ?? "",
      hold?.keyId || "all",
      time(hold?.fromMs ?? 0n),
      time(hold?.toMs ?? 0n),
      time(hold?.atMs ?? 0n),
      time(release?.atMs ?? 0n),
      hold?.reason ?? "",
    ]),
  );

const only = <T>(one: T | undefined): T[] => (one === undefined ? [] : [one]);

export const auditRetentionCommands: readonly Command[] = [
  {
    name: "audit retention set",
    usage: "[--workspace W | --workspace-id ID] [--records 400d] [--payloads 30d] | --inherit",
    summary:
      "how long records and payloads are kept; of no workspace: the default of all. What is not given is kept for ever; a shorter time counts after seven days",
    options: {
      ...WORKSPACE,
      records: { type: "string" },
      payloads: { type: "string" },
      inherit: { type: "boolean" },
    },
    async run({ connection, output, flags }) {
      const inherits = flags.on("inherit");
      if (inherits && (flags.text("records") ?? flags.text("payloads")) !== undefined)
        throw new UsageError("--inherit goes without --records and --payloads");
      const times = { recordsMs: kept(flags, "records"), payloadsMs: kept(flags, "payloads") };
      const connected = connection();
      const workspaceId = (await workspaceIdOf(connected, flags)) ?? "";
      const service = connected.client(audit.RetentionService);
      const set = await service.setRetention({ workspaceId, inherits, ...times }, connected.call);
      output.message(audit.SetRetentionResponseSchema, set, ({ state }) => stateTable(only(state)));
    },
  },
  {
    name: "audit retention list",
    usage: "",
    summary: "how long what is kept",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(audit.RetentionService).listRetention({}, call);
      output.message(audit.ListRetentionResponseSchema, found, ({ states }) => stateTable(states));
    },
  },
  {
    name: "audit retention run",
    usage: "[--workspace W | --workspace-id ID] [--dry-run]",
    summary: "remove now what need not be kept any more; it is done on a schedule, too",
    options: { ...WORKSPACE, "dry-run": { type: "boolean" } },
    async run({ connection, output, flags }) {
      const connected = connection();
      const dryRun = flags.on("dry-run");
      const workspaceId = (await workspaceIdOf(connected, flags)) ?? "";
      // It may take longer than any deadline for a call.
      const { timeoutMs: _, ...options } = connected.call;
      const removals: audit.RunRetentionResponse[] = [];
      const service = connected.client(audit.RetentionService);
      for await (const removal of service.runRetention({ workspaceId, dryRun }, options)) {
        removals.push(removal);
        output.message(audit.RunRetentionResponseSchema, removal, removalText(dryRun));
      }
      const count = removals.reduce((sum, removal) => sum + removal.count, 0n);
      output.note(`${count} ${dryRun ? "would be removed" : "removed"}`);
    },
  },
  {
    name: "audit hold place",
    usage: "--workspace W | --workspace-id ID [--key-id ID] [--from T] [--to T] --reason TEXT",
    summary: "a legal hold: nothing that it covers is removed or erased before it is released",
    options: {
      ...WORKSPACE,
      "key-id": { type: "string" },
      from: { type: "string" },
      to: { type: "string" },
      reason: { type: "string" },
    },
    async run({ connection, output, flags }) {
      const reason = required(flags, "reason");
      const connected = connection();
      const workspaceId = await workspaceIdOf(connected, flags);
      if (workspaceId === undefined) throw new UsageError("--workspace or --workspace-id is missing");
      const scope = {
        workspaceId,
        keyId: flags.text("key-id") ?? "",
        fromMs: instant("from", flags.text("from")),
        toMs: instant("to", flags.text("to")),
      };
      const service = connected.client(audit.RetentionService);
      const placed = await service.placeLegalHold({ ...scope, reason }, connected.call);
      output.message(audit.PlaceLegalHoldResponseSchema, placed, ({ hold }) => holdTable(only(hold)));
    },
  },
  {
    name: "audit hold list",
    usage: "[--all]",
    summary: "legal holds; with --all those that were released, too",
    options: { all: { type: "boolean" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(audit.RetentionService).listLegalHolds({ includeReleased: flags.on("all") }, call);
      output.message(audit.ListLegalHoldsResponseSchema, found, ({ holds }) => holdTable(holds));
    },
  },
  {
    name: "audit hold release",
    usage: "<id> --reason TEXT",
    summary: "ends a legal hold",
    words: { least: 1, most: 1 },
    options: { reason: { type: "string" } },
    async run({ connection, output, flags, args }) {
      const reason = required(flags, "reason");
      const { client, call } = connection();
      const released = await client(audit.RetentionService).releaseLegalHold({ id: args[0] ?? "", reason }, call);
      output.message(audit.ReleaseLegalHoldResponseSchema, released, ({ hold }) => holdTable(only(hold)));
    },
  },
];

const removalText =
  (dryRun: boolean) =>
  ({ subject, workspaceId, count, firstIndex, lastIndex, index }: audit.RunRetentionResponse): string =>
    `${count} ${enumName(audit.RetentionSubjectSchema, subject)} of ${workspaceId || "no workspace"}, ${firstIndex} to ${lastIndex}${dryRun ? "" : `: record ${index}`}`;
