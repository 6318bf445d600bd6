import type { Secret } from "@weir/kernel";
import { SHORTEST_OPERATOR_KEY, shownPrefix } from "../domain/api-key.ts";
import type { PayloadChoice } from "../domain/key-policy.ts";
import { NO_RULES, type Rules } from "../domain/rules.ts";
import type { BudgetTerms, DirectoryAdmin, Keysmith, LimitTerms, SeedPlan, SeedWorkspace } from "../ports.ts";
import { newSecret } from "./admin-keys.ts";

/** A workspace as weir.yaml describes it. */
export interface WorkspaceSeed {
  readonly name: string;
  readonly payloads: PayloadChoice;
  readonly timeZone: string;
  readonly rules: Rules;
  readonly budgets: readonly BudgetTerms[];
  readonly limits: readonly LimitTerms[];
}

/** @throws Error for a key that could be guessed */
export function checkBootstrapKey(key: Secret | undefined): void {
  if (key === undefined || key.reveal().length >= SHORTEST_OPERATOR_KEY) return;
  throw new Error(`WEIR_BOOTSTRAP_KEY must have at least ${SHORTEST_OPERATOR_KEY} characters`);
}

/**
 * Makes what a first start needs: the organization and workspace `default`, the configured workspaces that do not exist yet, and a key.
 * @returns the key's text if it was made up and made here
 */
export async function bootstrap(
  directory: DirectoryAdmin,
  keysmith: Keysmith,
  seeds: ReadonlyMap<string, WorkspaceSeed>,
  configured: Secret | undefined,
): Promise<string | undefined> {
  const workspaces = [...seeds.values()].map((seed) => workspaceOf(seed, keysmith));
  if (!seeds.has("default")) workspaces.push(workspaceOf(EMPTY_SEED, keysmith));
  const text = configured?.reveal() ?? newSecret(keysmith);
  const plan: SeedPlan = {
    organization: { id: keysmith.newId(), name: "default" },
    workspaces,
    key: {
      id: keysmith.newId(),
      name: "bootstrap",
      hash: keysmith.sha256(text),
      // Of a text that an operator chose nothing is shown: its beginning may say much about it.
      prefix: configured === undefined ? shownPrefix(text) : "",
      scopes: ["inference", "read", "admin"],
      rules: NO_RULES,
      operator: true,
      expiresAtMs: undefined,
      ancestors: [],
      guards: [],
      endUser: "",
      always: configured !== undefined,
    },
  };
  const made = await directory.seed(plan);
  return made && configured === undefined ? text : undefined;
}

const EMPTY_SEED: WorkspaceSeed = {
  name: "default",
  payloads: "hashes",
  rules: NO_RULES,
  timeZone: "UTC",
  budgets: [],
  limits: [],
};

const workspaceOf = (seed: WorkspaceSeed, keysmith: Keysmith): SeedWorkspace => ({
  id: keysmith.newId(),
  name: seed.name,
  projectId: keysmith.newId(),
  payloads: seed.payloads,
  rules: seed.rules,
  timeZone: seed.timeZone,
  budgets: seed.budgets,
  limits: seed.limits,
});
