import { Secret } from "@weir/kernel";
import { z } from "zod";
import type { Path } from "./problems.ts";
import { duration, name } from "./setting-types.ts";

export interface EvaluationSettings {
  /** A Weir key: what evaluation asks of models is held against its budgets. Undefined: it asks none. */
  readonly key: Secret | undefined;
  /** The same for all replicas. Undefined: each data folder has one of its own. */
  readonly sealKey: Secret | undefined;
  /** By name: what webhooks of evaluators may be signed with. */
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly drift: {
    readonly everyMs: number;
    readonly windowMs: number;
    readonly referenceMs: number;
    /** The most that the alarms of one look may be false with; 0: none is looked for. */
    readonly alpha: number;
  };
}

const secret = z.string().min(1);

export const evaluation = z.strictObject({
  /** What its judges and replays call models with. */
  key: secret.optional(),
  /** What texts of datasets are sealed under. */
  seal_key: secret.optional(),
  secrets: z.record(name, secret).default({}),
  drift: z
    .strictObject({
      every: duration(60_000).prefault("1h"),
      window: duration(3_600_000).prefault("24h"),
      reference: duration(3_600_000).prefault("168h"),
      alpha: z.number().min(0).max(0.5).default(0.001),
    })
    .prefault({}),
});

/** @param secretOf what a reference stands for; it is undefined where there is none */
export function completeEvaluation(
  { key, seal_key, secrets, drift }: z.infer<typeof evaluation>,
  secretOf: (path: Path, reference: string | undefined) => Secret | undefined,
): EvaluationSettings {
  const named = Object.entries(secrets).map(
    ([id, reference]) => [id, secretOf(["secrets", id], reference) ?? new Secret("")] as const,
  );
  return {
    key: secretOf(["key"], key),
    sealKey: secretOf(["seal_key"], seal_key),
    secrets: new Map(named),
    drift: { everyMs: drift.every, windowMs: drift.window, referenceMs: drift.reference, alpha: drift.alpha },
  };
}
