import { createHash, timingSafeEqual } from "node:crypto";
import { type Secret, WeirError } from "@weir/kernel";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * A check that a call carries the operator's token. Without a configured token nobody passes: results tell who asked when.
 * Digests are compared, so the time tells nothing of the token, not even its length.
 */
export function adminGuard(token: Secret | undefined): (headers: Headers) => void {
  const wanted = token === undefined ? undefined : digest(token.reveal());
  return (headers) => {
    if (wanted === undefined) {
      throw new WeirError(
        "permission_denied",
        "This service has no admin token; set WEIR_ADMIN_TOKEN to use this call.",
      );
    }
    const given = /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
    if (given === undefined) {
      throw new WeirError("missing_key", "This call needs `authorization: Bearer` with the admin token.");
    }
    if (!timingSafeEqual(digest(given), wanted)) throw new WeirError("invalid_key", "This is not the admin token.");
  };
}
