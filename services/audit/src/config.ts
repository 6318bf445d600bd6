import type { RetentionSeed, WeirConfig } from "@weir/config";
import type { Bus } from "@weir/events";
import type { Clock } from "@weir/kernel";
import type { DatabaseAddress } from "@weir/storage";
import type { Telemetry } from "@weir/telemetry";

/** The part of weir.yaml that concerns the audit log. */
export type AuditConfig = Pick<WeirConfig, "adminToken" | "dataDir" | "audit">;

/** What weir.yaml says of the retention of single workspaces, which the log knows by their ids only. */
export interface WorkspaceRetention {
  readonly seeds: ReadonlyMap<string, RetentionSeed>;
  /** Ids by name; names that there are none of are left out. */
  readonly idsOf: (names: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

export interface AuditOptions {
  readonly config: AuditConfig;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  readonly database: DatabaseAddress;
  /** Undefined: it only answers questions, and another instance (or a worker thread of this process) does the writing. */
  readonly bus?: Pick<Bus, "subscribe"> | undefined;
  /** Where tree heads go to NATS. */
  readonly natsUrl?: string | undefined;
  readonly workspaceRetention?: WorkspaceRetention | undefined;
  readonly clock?: Clock | undefined;
}
