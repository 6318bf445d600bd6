import { timingSafeEqual } from "node:crypto";
import type { Secret } from "@weir/kernel";

/** Carries the mesh token; `authorization` is left to the keys of users. */
export const TOKEN_HEADER = "x-weir-mesh-token";

/** Compares what a caller shows with the token, in a time that does not tell how much of it is right. */
export function tokenCheck(token: Secret): (shown: string | null | undefined) => boolean {
  const expected = Buffer.from(token.reveal(), "latin1");
  return (shown) => {
    if (shown === undefined || shown === null || shown.length !== expected.length) return false;
    return timingSafeEqual(Buffer.from(shown, "latin1"), expected);
  };
}
