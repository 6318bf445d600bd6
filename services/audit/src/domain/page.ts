import { WeirError } from "@weir/kernel";

/** A place in the log as it is listed: by time, then by index, newest first. */
export interface Cursor {
  readonly atMs: number;
  readonly index: number;
}

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1_000;

/** 0: the default. */
export const pageSize = (asked: number): number => (asked === 0 ? DEFAULT_SIZE : Math.min(asked, MAX_SIZE));

/** Opaque to callers, but no secret: it says no more than the entry it points at. */
export const pageToken = (cursor: Cursor): string => `${cursor.atMs.toString(36)}.${cursor.index.toString(36)}`;

/** @throws WeirError invalid_request */
export function cursorOf(token: string): Cursor | undefined {
  if (token === "") return undefined;
  const match = /^(-?[0-9a-z]{1,11})\.([0-9a-z]{1,11})$/.exec(token);
  const atMs = Number.parseInt(match?.[1] ?? "", 36);
  const index = Number.parseInt(match?.[2] ?? "", 36);
  if (!Number.isSafeInteger(atMs) || !Number.isSafeInteger(index)) {
    throw new WeirError("invalid_request", "page_token is not one this service gave out.", { param: "page_token" });
  }
  return { atMs, index };
}
