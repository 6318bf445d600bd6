import type { WeirConfig } from "@weir/config";
import type { Bus, DeadLetters } from "@weir/events";
import type { Clock } from "@weir/kernel";
import type { DatabaseAddress } from "@weir/storage";
import type { Telemetry } from "@weir/telemetry";

/** The part of weir.yaml that concerns evaluation. */
export type EvaluationConfig = Pick<WeirConfig, "adminToken">;

export interface EvaluationOptions {
  readonly config: EvaluationConfig;
  readonly telemetry: Pick<Telemetry, "log" | "metrics">;
  readonly database: DatabaseAddress;
  /** Undefined: it only answers questions, and another instance does the evaluating. */
  readonly bus?: Pick<Bus, "subscribe"> | undefined;
  /** Of its consumer. Whoever gives it closes it. */
  readonly deadLetters: Omit<DeadLetters, keyof AsyncDisposable>;
  readonly clock?: Clock | undefined;
}
