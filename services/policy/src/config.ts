import type { WeirConfig } from "@weir/config";
import type { Clock } from "@weir/kernel";
import type { Service } from "@weir/mesh";
import type { DatabaseAddress } from "@weir/storage";

/** The part of weir.yaml that concerns policy. */
export type PolicyConfig = Pick<
  WeirConfig,
  "instance" | "bootstrapKey" | "adminToken" | "workspaces" | "oidc" | "webhooks" | "ledger" | "guardrails"
>;

/** What policy needs of a logger; pino's fits. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface PolicyOptions {
  readonly config: PolicyConfig;
  readonly telemetry: { readonly log: Log };
  readonly database: DatabaseAddress;
  /** Undefined: rate limits are counted in this process, which is exact for a single replica only. */
  readonly redisUrl?: string | undefined;
  /** Where budget warnings are events, too. */
  readonly natsUrl?: string | undefined;
  readonly clock?: Clock | undefined;
}

export interface PolicyService extends Service {
  /**
   * A key with full rights in workspace `default`, made because none was configured and the database had none. Set once start() has
   * resolved, in the one start that made it; it is stored nowhere, so whoever composes the process shows it.
   */
  readonly bootstrapSecret?: string | undefined;
  /** Ends the watch streams, so that closing a server need not wait for them; watchers go to another instance. */
  endWatches(): void;
}
