/** Of records that both an evaluator and a person judged. */
export interface Agreement {
  readonly bothPass: number;
  readonly bothFail: number;
  /** It passes what the person failed. */
  readonly onlyEvaluator: number;
  readonly onlyLabel: number;
}

/**
 * Cohen's kappa (J. Cohen, 1960): agreement beyond what two that judge by chance, each with its own share of passes, would reach.
 * @returns 1 at most; undefined where there is nothing, or chance alone explains full agreement (both always say the same)
 */
export function kappaOf({ bothPass, bothFail, onlyEvaluator, onlyLabel }: Agreement): number | undefined {
  const n = bothPass + bothFail + onlyEvaluator + onlyLabel;
  if (n === 0) return undefined;
  const observed = (bothPass + bothFail) / n;
  const evaluator = (bothPass + onlyEvaluator) / n;
  const label = (bothPass + onlyLabel) / n;
  const byChance = evaluator * label + (1 - evaluator) * (1 - label);
  return byChance === 1 ? undefined : (observed - byChance) / (1 - byChance);
}
