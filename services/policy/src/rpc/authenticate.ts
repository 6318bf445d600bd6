import { timingSafeEqual } from "node:crypto";
import { type Secret, WeirError } from "@weir/kernel";
import type { Caller } from "../domain/authority.ts";
import type { Keysmith } from "../ports.ts";

export interface Authentication {
  readonly adminToken: Secret | undefined;
  readonly keysmith: Keysmith;
  /** @throws WeirError */
  readonly byKey: (secret: string) => Promise<Caller>;
}

/** Who calls, by `authorization: Bearer <admin token or key>`. @throws WeirError missing_key, invalid_key, expired_key, permission_denied */
export async function authenticate(authentication: Authentication, headers: Headers): Promise<Caller> {
  const shown = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
  if (shown === undefined) {
    throw new WeirError(
      "missing_key",
      "Send the admin token, or a key with the admin scope, as `Authorization: Bearer …`.",
    );
  }
  const { adminToken, keysmith } = authentication;
  // Of hashes, which are of one length: neither the token's nor how much of it is right shows in the time.
  if (adminToken !== undefined && timingSafeEqual(keysmith.sha256(shown), keysmith.sha256(adminToken.reveal()))) {
    return { kind: "operator" };
  }
  return authentication.byKey(shown);
}
