/** Targets that nobody knows the price of: requests whose cost has to be held cannot go there. */
import type { WeirConfig } from "@weir/config";
import { loadPriceBook } from "@weir/pricing";

/** Kinds whose models' names are the operator's own, and the price book that knows them where they are called as their models are. */
const OWN_NAMES: Readonly<Record<string, string | undefined>> = {
  "azure-openai": "azure",
  "openai-compatible": undefined,
  vllm: undefined,
  ollama: undefined,
  tgi: undefined,
};

/** @returns a line for each, with what to do about it */
export async function unpricedTargets(
  { providers, models, contracts }: Pick<WeirConfig, "providers" | "models" | "contracts">,
  nowMs: number,
): Promise<string[]> {
  const asked = [...models.values()].flatMap(({ name, targets, price }) =>
    price !== undefined ? [] : targets.map(({ provider, model }) => ({ name, provider, model })),
  );
  const unknown = asked.filter(({ provider, model }) => {
    const kind = providers.get(provider)?.kind ?? "";
    return Object.hasOwn(OWN_NAMES, kind) && !isContracted(contracts, provider, model);
  });
  if (unknown.length === 0) return [];
  const isAzure = ({ provider }: { provider: string }): boolean => providers.get(provider)?.kind === "azure-openai";
  // It takes a while to load, and knows nothing of the others.
  const book = unknown.some(isAzure) ? await loadPriceBook() : undefined;
  return unknown.flatMap((target) => {
    const { name, provider, model } = target;
    const bookName = OWN_NAMES[providers.get(provider)?.kind ?? ""];
    if (bookName !== undefined && book?.facts(bookName, model, nowMs).price !== undefined) return [];
    const remedy = isAzure(target)
      ? `name the deployment as its model is named (gpt-4o-mini), or set models.${name}.price`
      : `set models.${name}.price`;
    return [
      `models.${name}: the price of ${provider}/${model} is not known, so that no key with a budget in dollars can use it: ${remedy}`,
    ];
  });
}

function isContracted(contracts: WeirConfig["contracts"], provider: string, model: string): boolean {
  const fits = (name: string): boolean => (name.endsWith("*") ? model.startsWith(name.slice(0, -1)) : name === model);
  return contracts.some(
    (one) => one.provider === provider && one.price !== undefined && (one.models.length === 0 || one.models.some(fits)),
  );
}
