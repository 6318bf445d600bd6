/**
 * Copies of requests for a target that is to be judged before it serves anybody. What holds for a request holds for its copy: the providers,
 * regions, guardrails and caps of its key's path. What pays for it is another: the key that the operator named, which is in another workspace.
 * Closed on failure: whatever is not known makes no copy.
 */
import { least, mergeRules, PAYLOADS, providerAllowed, type Rules } from "@weir/rules";
import type { Candidate } from "./bound.ts";
import { type Grant, grantOf } from "./grant.ts";

/** Who gets copies of a model's requests. */
export interface Shadow {
  readonly provider: string;
  readonly model: string;
  /** What part of the requests, from 0 to 1. */
  readonly share: number;
  /** At a time. */
  readonly maxConcurrent: number;
  /** The key that pays. */
  readonly keyId: string;
}

/** As the router knows a target that no alias names. */
export const nameOf = ({ provider, model }: Shadow): string => `${provider}/${model}`;

/**
 * What a copy may do, and who pays: recorded in the workspace of the request that was copied, whose texts it has; held and charged where the
 * paying key's budgets are.
 * @param asked of the request, with its attributes' bounds
 * @returns undefined: both are of one workspace, where one budget would pay for both
 */
export function shadowGrant(asked: Grant, paying: Grant): Grant | undefined {
  const { key } = asked;
  if (paying.key.workspaceId === key.workspaceId) return undefined;
  const rules = mergeRules([withoutIdentity(key.rules, true), withoutIdentity(paying.key.rules, false), FRESH]);
  return grantOf({
    ...paying.key,
    organizationId: key.organizationId,
    workspaceId: key.workspaceId,
    projectId: key.projectId,
    endUser: key.endUser,
    payloads: least(PAYLOADS, key.payloads, rules.payloads) ?? key.payloads,
    rules,
  });
}

/** What is compared was made now. */
const FRESH: Rules = { ...mergeRules([]), cache: "off" };

/** Its client's address and tags were looked at already. Names of models are the paying key's affair: the caller asked for another. */
const withoutIdentity = (rules: Rules, isCaller: boolean): Rules => ({
  ...rules,
  allowedIps: [],
  fixedTags: [],
  ...(isCaller ? { allowedModels: [], deniedModels: [] } : {}),
});

/** Whether some candidate may serve a copy. */
export const maySee = ({ key }: Grant, candidates: readonly Candidate[]): boolean =>
  candidates.some(({ provider, region }) => providerAllowed(key.rules, provider, region));
