import { WeirError } from "@weir/kernel";

/** Of asymmetric keys only: with an HMAC, whoever reads the issuer's public key could sign with it. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"] as const;
export const DEFAULT_ALGORITHMS: readonly string[] = ["RS256", "PS256", "ES256", "EdDSA"];

export interface IssuerTerms {
  /** `iss`, to the letter. */
  readonly url: string;
  /** "": as the issuer's discovery document says. */
  readonly jwksUrl: string;
  readonly audiences: readonly string[];
  readonly algorithms: readonly string[];
  /** Claims and their values; a value may end in "*". */
  readonly requiredClaims: Readonly<Record<string, string>>;
  /** "": none. */
  readonly endUserClaim: string;
  readonly ttlMs: number;
}

export type Claims = Readonly<Record<string, unknown>>;

/** What is wrong with terms that somebody asks for. @param internal origins that the operator lets be internal, or plain http */
export function issuerProblem(
  terms: IssuerTerms,
  internal: ReadonlySet<string>,
): { readonly param: string; readonly message: string } | undefined {
  for (const [param, text] of [
    ["url", terms.url],
    ["jwks_url", terms.jwksUrl],
  ] as const) {
    if (param === "jwks_url" && text === "") continue;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || (url.protocol !== "https:" && !internal.has(url.origin))) {
      return { param, message: "An issuer is an https address." };
    }
    if (url.username !== "" || url.password !== "" || url.hash !== "" || (param === "url" && url.search !== ""))
      return { param, message: "An issuer's address has no user, query or fragment." };
  }
  if (terms.audiences.length === 0 || terms.audiences.includes(""))
    return { param: "audiences", message: "Say which audience a token must be for." };
  const unknown = terms.algorithms.find((name) => !ALGORITHMS.some((known) => known === name));
  if (unknown !== undefined || terms.algorithms.length === 0)
    return { param: "algorithms", message: `An algorithm is one of ${ALGORITHMS.join(", ")}.` };
  if (Object.entries(terms.requiredClaims).some(([name, value]) => name === "" || value === "" || value === "*"))
    return { param: "required_claims", message: "A required claim has a name and a value." };
  return undefined;
}

const matches = (pattern: string, value: unknown): boolean => {
  if (Array.isArray(value)) return value.some((one) => matches(pattern, one));
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return false;
  const text = String(value);
  return pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
};

const claimOf = (claims: Claims, name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined);

/** The first required claim that a token lacks. */
export const lackingClaim = (terms: Pick<IssuerTerms, "requiredClaims">, claims: Claims): string | undefined =>
  Object.entries(terms.requiredClaims).find(([name, pattern]) => !matches(pattern, claimOf(claims, name)))?.[0];

/** Whether a token is meant for an issuer's audiences, before anybody looked at its signature. */
export function isMeantFor(terms: Pick<IssuerTerms, "audiences">, claims: Claims): boolean {
  const audience = claimOf(claims, "aud");
  return (Array.isArray(audience) ? audience : [audience]).some((one) => terms.audiences.includes(one as string));
}

const LONGEST_END_USER = 256;

/** Whom the requests are for. @throws WeirError invalid_key where the token does not say: a key for nobody would escape what bounds end users */
export function endUserOf({ endUserClaim }: Pick<IssuerTerms, "endUserClaim">, claims: Claims): string {
  if (endUserClaim === "") return "";
  const value = claimOf(claims, endUserClaim);
  if (typeof value === "string" && value !== "" && value.length <= LONGEST_END_USER) return value;
  throw new WeirError("invalid_key", `The token says no "${endUserClaim}" of at most ${LONGEST_END_USER} characters.`);
}
