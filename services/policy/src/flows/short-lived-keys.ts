import { WeirError } from "@weir/kernel";
import { shownPrefix } from "../domain/api-key.ts";
import { type Claims, endUserOf, isMeantFor, lackingClaim } from "../domain/issuer.ts";
import type { BudgetUnit, KeyPolicy, Scope } from "../domain/key-policy.ts";
import { NO_RULES, type Rules } from "../domain/rules.ts";
import { DEFAULT_TTL_MS, mintable } from "../domain/short-lived.ts";
import type { BudgetTerms, IssuerRow, IssuerStore, TokenVerifier } from "../ports.ts";
import { type KeyAndSecret, type KeyDependencies, newSecret } from "./admin-keys.ts";
import { checkedRules } from "./admin-places.ts";

/** So many live at a time below one key: a client that mints for each request must not fill every replica's memory. */
const MOST_LIVING = 10_000;

export interface AskedShortLived {
  /** Undefined: the usual. */
  readonly ttlMs: number | undefined;
  readonly scopes: readonly Scope[];
  readonly rules: Rules | undefined;
  /** Hard, for its whole life. */
  readonly budgets: readonly { readonly unit: BudgetUnit; readonly limit: bigint }[];
}

const NAME_LENGTH = 128;

/** @param name "": the parent's */
export async function mintKey(
  { keys, keysmith, clock, refresh }: KeyDependencies,
  parent: KeyPolicy,
  asked: AskedShortLived & { readonly name: string; readonly endUser: string },
  usualTtlMs = DEFAULT_TTL_MS,
): Promise<KeyAndSecret> {
  const rules = checkedRules(asked.rules ?? NO_RULES);
  const terms = mintable(parent, { ...asked, rules }, usualTtlMs, clock.nowMs());
  const secret = newSecret(keysmith);
  const budgets = asked.budgets.map((budget): BudgetTerms => ({ ...budget, period: "total", hard: true }));
  const key = await keys.mint(
    {
      id: keysmith.newId(),
      projectId: parent.projectId,
      name: (asked.name || parent.name).slice(0, NAME_LENGTH),
      hash: keysmith.sha256(secret),
      prefix: shownPrefix(secret),
      operator: false,
      ancestors: [...parent.ancestors, parent.keyId],
      guards: [],
      ...terms,
    },
    budgets,
    MOST_LIVING,
  );
  await refresh();
  return { key, secret };
}

export interface ExchangeDependencies extends KeyDependencies {
  readonly issuers: IssuerStore;
  readonly tokens: TokenVerifier;
  /** What a token claims, unverified. @throws WeirError invalid_key where it is no token */
  readonly claimsOf: (token: string) => Claims;
}

/** Nothing is fetched, and no signature computed, for a token whose issuer nobody trusts. */
export async function exchangeToken(
  dependencies: ExchangeDependencies,
  asked: AskedShortLived & { readonly token: string; readonly issuerId: string },
): Promise<KeyAndSecret> {
  const { keyOf, tokens, claimsOf } = dependencies;
  const issuer = await trusted(dependencies, claimsOf(asked.token), asked.issuerId);
  const claims = await tokens.verify(asked.token, issuer);
  const parent = await keyOf(issuer.keyId);
  if (parent instanceof WeirError) throw parent;
  const subject = typeof claims["sub"] === "string" ? claims["sub"] : "";
  const name = subject === "" ? issuer.name : `${issuer.name}: ${subject}`;
  return mintKey(dependencies, parent, { ...asked, name, endUser: endUserOf(issuer, claims) }, issuer.ttlMs);
}

/** The issuer that a token, if it is genuine, is good for. @throws WeirError invalid_key, invalid_request */
async function trusted({ issuers }: ExchangeDependencies, claims: Claims, issuerId: string): Promise<IssuerRow> {
  const url = claims["iss"];
  const known = typeof url === "string" ? await issuers.byUrl(url) : [];
  const named = issuerId === "" ? known : known.filter(({ id }) => id === issuerId);
  if (named.length === 0) throw new WeirError("invalid_key", "Nobody here trusts this token's issuer.");
  const meant = named.filter((issuer) => isMeantFor(issuer, claims));
  if (meant.length === 0) throw new WeirError("invalid_key", "This token is for another audience.");
  const fitting = meant.filter((issuer) => lackingClaim(issuer, claims) === undefined);
  const [issuer, other] = fitting;
  if (issuer === undefined) {
    const lacking = lackingClaim(meant[0] as IssuerRow, claims);
    throw new WeirError("invalid_key", `This token's claim "${lacking}" is not one that is trusted.`);
  }
  if (other !== undefined)
    throw new WeirError("invalid_request", "Several projects trust this token: say which.", { param: "issuer_id" });
  return issuer;
}
