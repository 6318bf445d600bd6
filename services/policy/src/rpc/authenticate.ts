import { timingSafeEqual } from "node:crypto";
import type { HandlerContext } from "@connectrpc/connect";
import { type Secret, WeirError } from "@weir/kernel";
import { type Caller, requireRight } from "../domain/authority.ts";
import type { KeyPolicy } from "../domain/key-policy.ts";
import type { Keysmith } from "../ports.ts";

export interface Authentication {
  readonly adminToken: Secret | undefined;
  readonly keysmith: Keysmith;
  /** @throws WeirError invalid_key, expired_key, policy_unavailable */
  readonly byKey: (secret: string) => Promise<KeyPolicy>;
}

/** Who calls a method, and may. @throws WeirError missing_key, invalid_key, expired_key, permission_denied */
export type CallerOf = (context: HandlerContext) => Promise<Caller>;

/** The one way into PolicyAdminService: nobody gets a caller to go on with who may not call the method at all. */
export const callerOf =
  (authentication: Authentication): CallerOf =>
  async (context) => {
    const caller = await authenticate(authentication, context.requestHeader);
    requireRight(caller, context.method.name);
    return caller;
  };

export const bearerOf = (headers: Headers): string | undefined =>
  /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];

/** Who calls, by `authorization: Bearer <admin token or key>`. @throws WeirError missing_key, invalid_key, expired_key */
async function authenticate(authentication: Authentication, headers: Headers): Promise<Caller> {
  const shown = bearerOf(headers);
  if (shown === undefined)
    throw new WeirError("missing_key", "Send the admin token, or a key, as `Authorization: Bearer …`.");
  const { adminToken, keysmith } = authentication;
  // Of hashes, which are of one length: neither the token's nor how much of it is right shows in the time.
  if (adminToken !== undefined && timingSafeEqual(keysmith.sha256(shown), keysmith.sha256(adminToken.reveal()))) {
    return { kind: "operator" };
  }
  return { kind: "key", key: await authentication.byKey(shown) };
}
