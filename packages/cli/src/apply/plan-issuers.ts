import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WantedIssuer } from "@weir/config";
import { policy } from "@weir/contracts";
import { rulesChanged, rulesOfWire, wireRules } from "../wire-rules.ts";

const SCOPES = { inference: policy.Scope.INFERENCE, read: policy.Scope.READ };

export const wireIssuer = (
  workspace: string,
  { project, name, ...wanted }: WantedIssuer,
): MessageInitShape<typeof policy.PutIssuerRequestSchema> => ({
  workspace,
  project,
  name,
  url: wanted.url,
  jwksUrl: wanted.jwksUrl,
  audiences: [...wanted.audiences],
  algorithms: [...(wanted.algorithms ?? [])],
  requiredClaims: { ...wanted.requiredClaims },
  endUserClaim: wanted.endUserClaim,
  ttlMs: BigInt(wanted.ttlMs),
  scopes: wanted.scopes.map((scope) => SCOPES[scope]),
  rules: wireRules(wanted.rules),
});

const claims = (of: Readonly<Record<string, string>>): string =>
  Object.entries(of)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(", ");

/** What differs. */
export function issuerChanges(wanted: WantedIssuer, there: policy.Issuer): string[] {
  const pairs: readonly (readonly [name: string, now: string, then: string])[] = [
    ["url", there.url, wanted.url],
    ["jwks_url", there.jwksUrl, wanted.jwksUrl],
    ["audiences", there.audiences.join(", "), wanted.audiences.join(", ")],
    ["algorithms", there.algorithms.join(", "), (wanted.algorithms ?? there.algorithms).join(", ")],
    ["required_claims", claims(there.requiredClaims), claims(wanted.requiredClaims)],
    ["end_user_claim", there.endUserClaim, wanted.endUserClaim],
    ["ttl", `${Number(there.ttlMs) / 1000} s`, `${wanted.ttlMs / 1000} s`],
    [
      "scopes",
      there.scopes.toSorted().join(),
      wanted.scopes
        .map((scope) => SCOPES[scope])
        .toSorted()
        .join(),
    ],
  ];
  return [
    ...pairs.filter(([, now, then]) => now !== then).map(([name, now, then]) => `${name}: ${now} → ${then}`),
    ...rulesChanged(rulesOfWire(there.rules), wanted.rules),
  ];
}
