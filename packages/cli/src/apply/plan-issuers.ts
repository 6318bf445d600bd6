import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WantedIssuer, WantedWorkspace } from "@weir/config";
import { policy } from "@weir/contracts";
import type { ActualWorkspace } from "./actual.ts";
import { type Step, unchanged } from "./step.ts";
import { rulesChanged, rulesOfWire, wireRules } from "../wire-rules.ts";

const SCOPES = { inference: policy.Scope.INFERENCE, read: policy.Scope.READ };

const wireIssuer = (
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

const scopes = (of: readonly policy.Scope[]): string => of.toSorted((a, b) => a - b).join();

/** What differs. */
function issuerChanges(wanted: WantedIssuer, there: policy.Issuer): string[] {
  const pairs: readonly (readonly [name: string, now: string, then: string])[] = [
    ["url", there.url, wanted.url],
    ["jwks_url", there.jwksUrl, wanted.jwksUrl],
    ["audiences", there.audiences.join(", "), wanted.audiences.join(", ")],
    ["algorithms", there.algorithms.join(", "), (wanted.algorithms ?? there.algorithms).join(", ")],
    ["required_claims", claims(there.requiredClaims), claims(wanted.requiredClaims)],
    ["end_user_claim", there.endUserClaim, wanted.endUserClaim],
    ["ttl", `${Number(there.ttlMs) / 1000} s`, `${wanted.ttlMs / 1000} s`],
    ["scopes", scopes(there.scopes), scopes(wanted.scopes.map((scope) => SCOPES[scope]))],
  ];
  return [
    ...pairs.filter(([, now, then]) => now !== then).map(([name, now, then]) => `${name}: ${now} → ${then}`),
    ...rulesChanged(rulesOfWire(there.rules), wanted.rules),
  ];
}

export function issuerSteps(
  { name: workspace, issuers }: WantedWorkspace,
  found: ActualWorkspace | undefined,
  prune: boolean,
): Step[] {
  const projectId = (name: string): string | undefined => found?.projects.find((project) => project.name === name)?.id;
  const label = ({ project, name }: Pick<WantedIssuer, "project" | "name">): string =>
    `issuer ${workspace}/${project}/${name}`;
  const known = new Set<string>();
  const steps = issuers.map((wanted): Step => {
    const id = projectId(wanted.project);
    const there = found?.issuers.find((one) => one.name === wanted.name && one.projectId === id);
    if (there !== undefined) known.add(there.id);
    const details = there === undefined ? [wanted.url] : issuerChanges(wanted, there);
    if (details.length === 0) return unchanged(label(wanted));
    const verb = there === undefined ? "create" : "update";
    const run: Step["run"] = ({ admin, call }) => admin.putIssuer(wireIssuer(workspace, wanted), call);
    return { verb, what: label(wanted), details, run };
  });
  if (!prune) return steps;
  const forgotten = (found?.issuers ?? []).filter(({ id }) => !known.has(id));
  return [
    ...steps,
    ...forgotten.map((issuer): Step => {
      const project = found?.projects.find(({ id }) => id === issuer.projectId)?.name ?? issuer.projectId;
      return {
        verb: "delete",
        what: label({ project, name: issuer.name }),
        details: ["ends the keys that its tokens were exchanged for"],
        run: ({ admin, call }) => admin.deleteIssuer({ issuerId: issuer.id }, call),
      };
    }),
  ];
}

export function webhookSteps(
  { name: workspace, webhook }: WantedWorkspace,
  found: ActualWorkspace | undefined,
  prune: boolean,
): Step[] {
  const there = found?.webhook?.url;
  const what = `webhook of ${workspace}`;
  if (webhook === undefined) {
    if (!prune || there === undefined) return [];
    return [{ verb: "delete", what, details: [], run: ({ books, call }) => books.deleteWebhook({ workspace }, call) }];
  }
  if (webhook === there) return [unchanged(what)];
  return [
    {
      verb: there === undefined ? "create" : "update",
      what,
      details: [there === undefined ? webhook : `${there} → ${webhook}`],
      // Its secret is shown once, by whoever made it.
      run: async ({ books, call }) =>
        `secret of the webhook: ${(await books.putWebhook({ workspace, url: webhook }, call)).secret}`,
    },
  ];
}
