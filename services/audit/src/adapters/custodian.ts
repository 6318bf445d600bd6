import { SealError, wrap } from "@weir/sealing";
import { type Custody, SubjectErasedError } from "../domain/custody.ts";
import type { LogRecord } from "../domain/record.ts";
import type { LogWriter } from "../ports.ts";
import type { KeyHolders } from "./postgres-key-holders.ts";
import type { SubjectKeys } from "./subject-keys.ts";
import type { PayloadOpeners } from "./transport-key-folder.ts";
import { asUnavailable } from "./unavailable.ts";

export interface CustodyEvents {
  /** Its transport key is not here, or the bytes are none: it is stored, and nobody can open it. */
  readonly unopenable: (record: LogRecord, error: unknown) => void;
}

/** Payload keys are wrapped for this use only. */
export const PAYLOAD_KEY = "payload";
/** Each time somebody was erased between two queries. */
const MOST_TRIES = 10;

/**
 * Puts payloads into the custody of their subjects before they are stored: what opens each is stored beside it under its subject's key, so that
 * the transport key that it is sealed to can be destroyed, and so can the subject's. Notes which transport keys producers have left behind.
 * Records without a payload cost nothing here.
 */
export function custodian(
  log: LogWriter,
  openers: PayloadOpeners,
  subjects: SubjectKeys,
  holders: Pick<KeyHolders, "moved">,
  events: CustodyEvents,
): LogWriter {
  async function withCustody(records: readonly LogRecord[]): Promise<readonly LogRecord[]> {
    const heads = records.map((record) => (record.payload.length === 0 ? undefined : headOf(record)));
    const digests = heads.flatMap((head) => (head === undefined ? [] : [head.subject]));
    if (digests.length === 0) return records;
    const keys = await subjects.of(digests).catch((error: unknown) => {
      throw asUnavailable(error);
    });
    return records.map((record, place) => {
      const head = heads[place];
      const key = head && keys.get(head.subject.toString("hex"));
      if (head === undefined || key === undefined) return record;
      const { erased } = key;
      const custody: Custody =
        erased !== undefined && record.attributes.atMs <= erased.beforeMs
          ? { subject: erased.subject, wrappedKey: undefined }
          : { subject: key.id, wrappedKey: wrap(head.payloadKey, key.key, PAYLOAD_KEY) };
      return { ...record, custody };
    });
  }

  function headOf(record: LogRecord): { readonly payloadKey: Buffer; readonly subject: Buffer } | undefined {
    try {
      return openers.openerOf(record.payload).head(record.payload);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      events.unopenable(record, error);
      return undefined;
    }
  }

  return {
    async append(records) {
      const keyed = records.some(({ payload }) => payload.length > 0);
      for (let tries = 1; ; tries += 1) {
        try {
          const fresh = await log.append(keyed ? await withCustody(records) : records);
          await holders.moved(records);
          return fresh;
        } catch (error) {
          if (!(error instanceof SubjectErasedError) || tries === MOST_TRIES) throw error;
          subjects.forget();
        }
      }
    },
  };
}
