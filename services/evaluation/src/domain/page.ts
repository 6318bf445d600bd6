import { WeirError } from "@weir/kernel";

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1_000;

/** 0: the default. */
export const pageSize = (asked: number): number => (asked === 0 ? DEFAULT_SIZE : Math.min(asked, MAX_SIZE));

/** Points behind the result with this id. */
export const pageToken = (id: number): string => id.toString(36);

/** @throws WeirError invalid_request */
export function idOf(token: string): number | undefined {
  if (token === "") return undefined;
  const id = /^[0-9a-z]{1,11}$/.test(token) ? Number.parseInt(token, 36) : Number.NaN;
  if (!Number.isSafeInteger(id)) {
    throw new WeirError("invalid_request", "page_token is not one this service gave out.", { param: "page_token" });
  }
  return id;
}
