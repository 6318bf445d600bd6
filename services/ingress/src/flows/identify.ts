import { type Clock, WeirError } from "@weir/kernel";
import { authenticate, type Grant } from "../domain/key.ts";
import type { KeyDirectory } from "../ports.ts";

/**
 * Who calls. Comes before anything of the body is looked at: strangers must not make us parse.
 * @throws WeirError missing_key, invalid_key, expired_key, policy_unavailable
 */
export type Identify = (secret: string | undefined) => Grant;

/** Longer ones are not hashed: no key is. */
const MAX_SECRET = 512;

export function createIdentify(keys: KeyDirectory, clock: Clock): Identify {
  return (secret) => {
    if (secret === undefined || secret === "") throw new WeirError("missing_key", "No key was sent.");
    const grant = secret.length > MAX_SECRET ? undefined : keys.find(secret);
    authenticate(grant?.key, keys.freshness(), clock.nowMs());
    return grant as Grant;
  };
}
