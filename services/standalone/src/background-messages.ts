import type { WeirConfig } from "@weir/config";
import type { DatabaseAddress } from "@weir/storage";
import type { LogLevel } from "@weir/telemetry";

/** What the thread is started with: plain values, since nothing else crosses over. */
export interface BackgroundData {
  /** Nobody can ask it anything, so it checks no token. */
  readonly config: Pick<WeirConfig, "dataDir" | "audit" | "evaluation" | "webhooks"> & {
    readonly adminToken: undefined;
  };
  /** Of `audit`, as texts. */
  readonly payloadKeys: readonly string[];
  readonly database: DatabaseAddress;
  readonly spoolDirectory: string;
  readonly natsUrl: string | undefined;
  readonly level: LogLevel;
}

export type ToBackground = { readonly type: "stop" } | { readonly type: "metrics"; readonly id: number };

export type FromBackground =
  | { readonly type: "started" }
  /** A finished log line, scrubbed: one thread writes to standard output. */
  | { readonly type: "line"; readonly line: string }
  /** As prom-client's getMetricsAsJSON gives them. */
  | { readonly type: "metrics"; readonly id: number; readonly metrics: readonly object[] };
