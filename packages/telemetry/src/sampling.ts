import type { TraceParent } from "./traceparent.ts";

/** What OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG ask for. */
export interface SamplingRule {
  /** Of the traces that start here, how many are recorded: 0 to 1. */
  readonly ratio: number;
  /** Whether the caller's own decision counts, where there is one. */
  readonly followParent: boolean;
}

/** OpenTelemetry's default is parentbased_always_on. @throws RangeError for a sampler or a ratio that does not exist */
export function samplingRule(env: Readonly<Record<string, string | undefined>>): SamplingRule {
  const name = env["OTEL_TRACES_SAMPLER"] ?? "parentbased_always_on";
  const followParent = name.startsWith("parentbased_");
  switch (name.replace(/^parentbased_/, "")) {
    case "always_on":
      return { ratio: 1, followParent };
    case "always_off":
      return { ratio: 0, followParent };
    case "traceidratio": {
      const ratio = Number(env["OTEL_TRACES_SAMPLER_ARG"] ?? "1");
      if (!(ratio >= 0 && ratio <= 1)) throw new RangeError("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1");
      return { ratio, followParent };
    }
    default:
      throw new RangeError(`OTEL_TRACES_SAMPLER=${name} is not supported`);
  }
}

/** @param draw uniform in [0, 1) */
export const isSampled = (rule: SamplingRule, parent: TraceParent | undefined, draw: number): boolean =>
  rule.followParent && parent !== undefined ? parent.sampled : draw < rule.ratio;
