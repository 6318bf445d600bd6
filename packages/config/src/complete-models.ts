import { completePrice } from "./price-schema.ts";
import type { ModelConfig } from "./model-types.ts";
import type { Path } from "./problems.ts";
import { compileRule } from "./route-rule.ts";
import type { ConfigFile } from "./schema.ts";
import { didYouMean } from "./suggest.ts";

/** Whether all that models name is there. */
export function checkModels(
  file: ConfigFile,
  providers: ReadonlyMap<string, unknown>,
  report: (path: Path, message: string) => void,
): void {
  for (const [name, model] of Object.entries(file.models)) {
    for (const [index, target] of model.targets.entries()) {
      if (providers.has(target.provider)) continue;
      const hint = didYouMean(target.provider, providers.keys());
      report(
        ["models", name, "targets", index, "provider"],
        `there is no provider ${JSON.stringify(target.provider)}${hint}`,
      );
    }
    for (const part of ["canary", "shadow"] as const) {
      const provider = model[part]?.provider;
      if (provider === undefined || providers.has(provider)) continue;
      const hint = didYouMean(provider, providers.keys());
      report(["models", name, part, "provider"], `there is no provider ${JSON.stringify(provider)}${hint}`);
    }
    for (const [index, rule] of model.rules.entries()) {
      const path = ["models", name, "rules", index];
      if (!Object.hasOwn(file.models, rule.use)) {
        const hint = didYouMean(rule.use, Object.keys(file.models));
        report([...path, "use"], `there is no model ${JSON.stringify(rule.use)}${hint}`);
      }
      try {
        compileRule(rule.when);
      } catch (error) {
        report([...path, "when"], error instanceof Error ? error.message : "is no expression");
      }
    }
    if (model.targets.every((target) => target.weight === 0))
      report(["models", name, "targets"], "all weights are zero");
    for (const [index, fallback] of model.fallbacks.entries()) {
      const path = ["models", name, "fallbacks", index];
      if (fallback === name) report(path, "a model cannot fall back to itself");
      else if (!Object.hasOwn(file.models, fallback)) {
        report(path, `there is no model ${JSON.stringify(fallback)}${didYouMean(fallback, Object.keys(file.models))}`);
      }
    }
  }
}

export function completeModel(name: string, from: ConfigFile["models"][string]): ModelConfig {
  const { price } = from;
  return {
    name,
    strategies: typeof from.strategy === "string" ? [from.strategy] : from.strategy,
    targets: from.targets,
    fallbacks: from.fallbacks,
    rules: from.rules,
    canary: from.canary,
    shadow: from.shadow && {
      provider: from.shadow.provider,
      model: from.shadow.model,
      percent: from.shadow.percent,
      keyId: from.shadow.key_id,
      maxConcurrent: from.shadow.max_concurrent,
    },
    cacheMs: from.cache?.ttl,
    semanticCache: from.cache?.semantic && {
      embeddingModel: from.cache.semantic.embedding_model,
      threshold: from.cache.semantic.threshold,
      ttlMs: from.cache.semantic.ttl ?? from.cache.ttl,
      maxEntries: from.cache.semantic.max_entries,
    },
    hedge: from.hedge && { afterMs: from.hedge.after, budget: from.hedge.budget },
    price: price && completePrice(price),
    contextWindow: from.context_window,
    maxOutputTokens: from.max_output_tokens,
  };
}
