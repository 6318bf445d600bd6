import { Secret } from "@weir/kernel";
import type { EvaluationConfig } from "../src/index.ts";

export const ADMIN_TOKEN = "operator-token";

/** @param key with which models are asked; undefined: none is */
export const testConfig = (dataDir: string, key?: Secret): EvaluationConfig => ({
  adminToken: new Secret(ADMIN_TOKEN),
  dataDir,
  webhooks: { internalOrigins: [] },
  evaluation: {
    key,
    sealKey: undefined,
    secrets: new Map(),
    drift: { everyMs: 3_600_000, windowMs: 86_400_000, referenceMs: 604_800_000, alpha: 0 },
  },
});
