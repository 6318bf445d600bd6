import { WeirError } from "@weir/kernel";
import { openWithKey, SealError, unwrap } from "@weir/sealing";
import type pg from "pg";
import type { SealedPayload } from "../domain/log-entry.ts";
import type { PayloadOpener } from "../ports.ts";
import { PAYLOAD_KEY } from "./custodian.ts";
import { type Generations, keysById } from "./subject-keys.ts";
import type { PayloadOpeners } from "./transport-key-folder.ts";
import { asUnavailable } from "./unavailable.ts";

/** @param notReady why nothing may be opened yet: erasures of before a restore are still to be done again */
export function payloadOpener(
  pool: Pick<pg.ClientBase, "query">,
  openers: PayloadOpeners,
  generations: Generations,
  notReady: () => string | undefined,
): PayloadOpener {
  return {
    async open(payloads) {
      const why = notReady();
      if (why !== undefined && payloads.length > 0) {
        throw new WeirError("audit_unavailable", `No payload can be opened yet: ${why}.`, { retryAfterMs: 1_000 });
      }
      try {
        const ids = new Set(
          payloads.flatMap(({ custody }) => (custody?.wrappedKey === undefined ? [] : [custody.subject])),
        );
        const keys = ids.size === 0 ? NONE : await keysById(pool, [...ids], generations);
        return new Map(payloads.map((one) => [one.index, opened(one, keys, openers)]));
      } catch (cause) {
        if (!(cause instanceof SealError)) throw asUnavailable(cause);
        throw new WeirError(cause.kind === "unknown-key" ? "not_found" : "internal", cause.message, { cause });
      }
    },
  };
}

const NONE: ReadonlyMap<string, Buffer> = new Map();

function opened(
  { sealed, requestId, custody }: SealedPayload,
  keys: ReadonlyMap<string, Buffer>,
  openers: PayloadOpeners,
): Uint8Array | "erased" {
  if (custody === undefined) return openers.openerOf(sealed).open(sealed, requestId);
  const key = keys.get(custody.subject);
  if (custody.wrappedKey === undefined || key === undefined) return "erased";
  return openWithKey(sealed, requestId, unwrap(custody.wrappedKey, key, PAYLOAD_KEY));
}
