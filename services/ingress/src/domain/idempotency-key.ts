import { WeirError } from "@weir/kernel";

export const IDEMPOTENCY_KEY = "idempotency-key";

const KEY = /^[\x21-\x7e]{1,255}$/;

/** @param text the header; undefined or "": none was sent. @throws WeirError invalid_request */
export function checkedIdempotencyKey(text: string | null | undefined): string {
  if (text === undefined || text === null || text === "") return "";
  if (KEY.test(text)) return text;
  throw new WeirError("invalid_request", "An Idempotency-Key has 1 to 255 visible ASCII characters.", {
    param: IDEMPOTENCY_KEY,
  });
}
