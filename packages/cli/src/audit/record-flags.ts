import { audit, policy } from "@weir/contracts";
import { nanosOfDollars } from "@weir/kernel";
import { fromConnectError } from "@weir/mesh";
import { choice, type Flags, UsageError, wholeNumber } from "../command.ts";
import type { Connection } from "../connection.ts";
import { instant } from "../instant.ts";

const OUTCOMES = {
  succeeded: audit.OutcomeKind.SUCCEEDED,
  failed: audit.OutcomeKind.FAILED,
  cancelled: audit.OutcomeKind.CANCELLED,
  unknown: audit.OutcomeKind.UNKNOWN,
};

const KINDS = {
  intent: audit.RecordKind.INTENT,
  outcome: audit.RecordKind.OUTCOME,
  refusal: audit.RecordKind.REFUSAL,
  quarantined: audit.RecordKind.QUARANTINED,
  erasure: audit.RecordKind.ERASURE,
  retention: audit.RecordKind.RETENTION,
  "retention-policy": audit.RecordKind.RETENTION_POLICY,
  "legal-hold": audit.RecordKind.LEGAL_HOLD,
  "legal-hold-release": audit.RecordKind.LEGAL_HOLD_RELEASE,
};

/** What says which records of the log are meant. */
export const RECORD_OPTIONS = {
  "workspace-id": { type: "string" },
  "key-id": { type: "string" },
  model: { type: "string" },
  provider: { type: "string" },
  "end-user": { type: "string" },
  "end-user-hmac": { type: "string" },
  outcome: { type: "string" },
  kind: { type: "string" },
  status: { type: "string" },
  "min-usd": { type: "string" },
  "max-usd": { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
} as const;

export const RECORD_USAGE =
  "[--workspace-id ID] [--key-id ID] [--model M] [--provider P] [--end-user U] [--end-user-hmac HEX] [--outcome succeeded|failed|cancelled|unknown] [--kind K] [--status 429] [--min-usd 0.5] [--max-usd 2] [--from 24h] [--to T]";

/** As ListRequest and RecordFilter have it. */
export function recordFilter(flags: Flags) {
  const outcome = flags.text("outcome");
  const kind = flags.text("kind");
  const hmac = flags.text("end-user-hmac") ?? "";
  if (!/^([0-9a-f]{2}){0,64}$/i.test(hmac)) throw new UsageError("--end-user-hmac is in hex, as a record has it");
  return {
    workspaceId: flags.text("workspace-id") ?? "",
    keyId: flags.text("key-id") ?? "",
    model: flags.text("model") ?? "",
    provider: flags.text("provider") ?? "",
    endUser: flags.text("end-user") ?? "",
    endUserHmac: Buffer.from(hmac, "hex"),
    outcome: outcome === undefined ? audit.OutcomeKind.UNSPECIFIED : choice("--outcome", outcome, OUTCOMES),
    kind: kind === undefined ? audit.RecordKind.UNSPECIFIED : choice("--kind", kind, KINDS),
    status: Number(wholeNumber("--status", flags.text("status") ?? "0")),
    minCostNanos: dollars("min-usd", flags),
    maxCostNanos: dollars("max-usd", flags),
    fromMs: instant("from", flags.text("from")),
    toMs: instant("to", flags.text("to")),
  };
}

/** Whether anything at all is asked for. */
export const isFiltered = (flags: Flags): boolean =>
  Object.keys(RECORD_OPTIONS).some((name) => flags.text(name) !== undefined);

function dollars(name: string, flags: Flags): bigint {
  const text = flags.text(name);
  if (text === undefined) return 0n;
  try {
    return nanosOfDollars(text);
  } catch {
    throw new UsageError(`--${name} is an amount in dollars`);
  }
}

/** `--workspace` by its name, where policy is behind the same address, or `--workspace-id`; undefined: neither is given. */
export async function workspaceIdOf({ client, call }: Connection, flags: Flags): Promise<string | undefined> {
  const [id, name] = [flags.text("workspace-id"), flags.text("workspace")];
  if (id !== undefined && name !== undefined) throw new UsageError("give --workspace or --workspace-id");
  if (name === undefined) return id;
  const { workspaces } = await client(policy.PolicyAdminService)
    .listWorkspaces({}, call)
    .catch((error: unknown) => {
      if (fromConnectError(error).reason !== "unsupported") throw error;
      throw new Error("policy, which knows names, is behind another address than the log: give --workspace-id");
    });
  const found = workspaces.find((workspace) => workspace.name === name || workspace.id === name);
  if (found === undefined) throw new Error(`there is no workspace ${name}`);
  return found.id;
}
