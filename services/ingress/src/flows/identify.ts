import { type Clock, WeirError } from "@weir/kernel";
import { addressRefusal, ruleError } from "@weir/rules";
import type { Grant } from "../domain/grant.ts";
import { authenticate } from "../domain/key.ts";
import type { Journal, KeyDirectory, KeyUses } from "../ports.ts";

/**
 * Who calls, and from where it may. Comes before anything of the body is looked at: strangers must not make us parse. Every route goes
 * through it, so an address that a key may not be used from reaches nothing.
 * @param clientIp "": not known
 * @throws WeirError missing_key, invalid_key, expired_key, policy_unavailable, permission_denied
 */
export type Identify = (secret: string | undefined, clientIp: string, route: string) => Grant;

/** Longer ones are not hashed: no key is. */
const MAX_SECRET = 512;

export function createIdentify(
  keys: KeyDirectory,
  uses: KeyUses,
  journal: Pick<Journal, "refusal">,
  newRequestId: (nowMs: number) => string,
  clock: Clock,
): Identify {
  /** A key that is used from elsewhere may be a stolen one: it belongs in the record. */
  function refuse({ key, prepared }: Grant, clientIp: string, route: string): void {
    const refusal = addressRefusal(prepared, clientIp);
    if (refusal === undefined) return;
    const atMs = clock.nowMs();
    journal.refusal({
      requestId: newRequestId(atMs),
      atMs,
      organizationId: key.organizationId,
      workspaceId: key.workspaceId,
      projectId: key.projectId,
      keyId: key.id,
      route,
      model: "",
      reason: refusal.reason,
      rule: `rules ${refusal.rule}`,
      count: 1,
    });
    throw ruleError(refusal);
  }

  return (secret, clientIp, route) => {
    if (secret === undefined || secret === "") throw new WeirError("missing_key", "No key was sent.");
    const grant = secret.length > MAX_SECRET ? undefined : keys.find(secret);
    authenticate(grant?.key, keys.freshness(), clock.nowMs());
    const known = grant as Grant;
    if (known.prepared.ranges !== undefined) refuse(known, clientIp, route);
    uses.used(known);
    return known;
  };
}
