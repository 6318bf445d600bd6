import { AggregatorRegistry } from "prom-client";
import type { Telemetry } from "./telemetry.ts";

/**
 * The same telemetry, whose rendered metrics hold those of other threads, too; series of one name are added up.
 * @param others as prom-client's getMetricsAsJSON gives them
 */
export function mergedMetrics(telemetry: Telemetry, others: () => Promise<readonly object[]>): Telemetry {
  return {
    ...telemetry,
    async renderMetrics() {
      const [own, theirs] = await Promise.all([telemetry.metrics.getMetricsAsJSON(), others()]);
      return AggregatorRegistry.aggregate([own, [...theirs]]).metrics();
    },
  };
}
