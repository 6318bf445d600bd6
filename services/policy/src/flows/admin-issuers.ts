import { WeirError } from "@weir/kernel";
import { type Caller, grantable, missing, requireVisible } from "../domain/authority.ts";
import { DEFAULT_ALGORITHMS, issuerProblem, type IssuerTerms } from "../domain/issuer.ts";
import type { Scope } from "../domain/key-policy.ts";
import { NO_RULES, type Rules } from "../domain/rules.ts";
import { DEFAULT_TTL_MS, MINTABLE } from "../domain/short-lived.ts";
import type { IssuerRow, IssuerStore } from "../ports.ts";
import { askedProject, type KeyDependencies, newSecret } from "./admin-keys.ts";
import { checkedName, checkedRules, listedWorkspace } from "./admin-places.ts";

export interface IssuerDependencies extends KeyDependencies {
  readonly issuers: IssuerStore;
  /** Origins that the operator lets be internal, or plain http. */
  readonly internalOrigins: ReadonlySet<string>;
}

export interface AskedIssuer extends Omit<IssuerTerms, "ttlMs"> {
  readonly workspace: string;
  readonly project: string;
  readonly name: string;
  /** Undefined: an hour. */
  readonly ttlMs: number | undefined;
  /** Empty: inference. */
  readonly scopes: readonly Scope[];
  readonly rules: Rules | undefined;
}

/** An issuer's keys hang below a key of its own, which nobody has the text of: its rights, budgets, limits and end are theirs. */
export async function putIssuer(
  dependencies: IssuerDependencies,
  caller: Caller,
  asked: AskedIssuer,
): Promise<IssuerRow> {
  const { issuers, keysmith, internalOrigins, refresh } = dependencies;
  const name = checkedName(asked.name);
  const terms: IssuerTerms = {
    url: asked.url,
    jwksUrl: asked.jwksUrl,
    audiences: asked.audiences,
    algorithms: asked.algorithms.length === 0 ? DEFAULT_ALGORITHMS : asked.algorithms,
    requiredClaims: asked.requiredClaims,
    endUserClaim: asked.endUserClaim,
    ttlMs: asked.ttlMs ?? DEFAULT_TTL_MS,
  };
  const problem = issuerProblem(terms, internalOrigins);
  if (problem !== undefined) throw new WeirError("invalid_request", problem.message, { param: problem.param });
  const scopes = asked.scopes.length === 0 ? (["inference"] as const) : asked.scopes;
  const other = scopes.find((scope) => !MINTABLE.includes(scope));
  if (other !== undefined)
    throw new WeirError("invalid_request", `Short-lived keys have no scope "${other}".`, { param: "scopes" });
  const project = await askedProject(dependencies, caller, asked);
  const expiresAtMs = caller.kind === "key" ? caller.key.expiresAtMs : undefined;
  const granted = grantable(
    caller,
    { scopes, rules: checkedRules(asked.rules ?? NO_RULES), expiresAtMs },
    { projectId: project.id },
  );
  const row = await issuers.put(
    { id: keysmith.newId(), projectId: project.id, name, terms },
    {
      id: keysmith.newId(),
      projectId: project.id,
      name: `issuer ${name}`,
      hash: keysmith.sha256(newSecret(keysmith)),
      prefix: "",
      operator: false,
      ancestors: [],
      endUser: "",
      ...granted,
    },
  );
  await refresh();
  return row;
}

export async function listIssuers(
  { directory, issuers }: IssuerDependencies,
  caller: Caller,
  workspace: string,
): Promise<IssuerRow[]> {
  return issuers.list(await listedWorkspace(directory, caller, workspace));
}

export async function deleteIssuer(
  { directory, issuers, refresh }: IssuerDependencies,
  caller: Caller,
  asked: { readonly issuerId: string; readonly endRequests: boolean },
): Promise<void> {
  const issuer = await issuers.byId(asked.issuerId);
  if (issuer === undefined) throw missing("issuer", asked.issuerId);
  const project = await directory.find("project", issuer.projectId);
  try {
    requireVisible(caller, project, asked.issuerId);
  } catch {
    throw missing("issuer", asked.issuerId);
  }
  await issuers.remove(issuer.id, asked.endRequests);
  await refresh();
}
