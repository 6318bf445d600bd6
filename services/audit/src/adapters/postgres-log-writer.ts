import { createHash, hash } from "node:crypto";
import { WRAPPED_KEY_BYTES } from "@weir/sealing";
import { HASH_BYTES, leafHash, type NumberRange, searchable, type Sha256 } from "@weir/proofs";
import type pg from "pg";
import { accountOf } from "../domain/accounting.ts";
import { SubjectErasedError } from "../domain/custody.ts";
import type { LogRecord } from "../domain/record.ts";
import type { LogWriter } from "../ports.ts";
import { asUnavailable } from "./unavailable.ts";

const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");
const NO_PAYLOAD_DIGEST = createHash("sha256").digest();

/** Of a record: the integers of append(), from p_producer to p_omitted. */
const COLUMNS = 15;
const PARAMETERS = Array.from({ length: COLUMNS + 9 }, (_, index) => `$${index + 1}`).join(", ");

export function postgresLogWriter(pool: pg.Pool): LogWriter {
  return {
    async append(records) {
      try {
        return await appendRecords(pool, records);
      } catch (error) {
        throw isErased(error) ? new SubjectErasedError() : asUnavailable(error);
      }
    },
  };
}

/** One statement a batch: see append() in migrations/audit/0001-log.sql and 0004-subjects.sql for the shape of its arguments. */
export async function appendRecords(
  client: Pick<pg.ClientBase, "query">,
  records: readonly LogRecord[],
): Promise<number> {
  const values = argumentsOf(records);
  const query = { name: "append", text: `select append(${PARAMETERS}) as fresh`, values };
  const result = await client.query<{ fresh: number }>(query);
  return result.rows[0]?.fresh ?? 0;
}

const isErased = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "WE001";

function argumentsOf(given: readonly LogRecord[]): unknown[] {
  const records = withoutRepetition(given);
  const accounts = [...accountOf(records)];
  const places = new Map(accounts.map(([producer], index) => [producer, index + 1]));
  // One list per parameter, filled by position: a step per element of a generic encoder costs as much as the rest of the row.
  const columns = Array.from({ length: COLUMNS }, (): (number | bigint)[] => []);
  const texts: string[] = [];
  let size = 0;
  for (const record of records) size += HASH_BYTES + record.header.length + record.payload.length;
  const blob = Buffer.allocUnsafe(size);
  let offset = 0;
  const keyed: number[] = [];
  const subjects: string[] = [];
  const wrapped: Uint8Array[] = [];
  for (const [place, record] of records.entries()) {
    const { attributes, header, payload } = record;
    const row = [
      places.get(record.producer) ?? 0,
      record.number,
      record.intentProducer === "" ? 0 : (places.get(record.intentProducer) ?? 0),
      record.intentNumber,
      record.kind,
      attributes.atMs,
      attributes.outcome,
      attributes.status,
      attributes.inputTokens,
      attributes.outputTokens,
      attributes.costNanos,
      offset + 1,
      header.length,
      payload.length,
      record.payloadOmitted ? 1 : 0,
    ];
    for (let column = 0; column < COLUMNS; column++) columns[column]?.push(row[column] ?? 0);
    texts.push(
      attributes.requestId,
      searchable(attributes.workspaceId),
      searchable(attributes.keyId),
      searchable(attributes.model),
      searchable(attributes.provider),
    );
    if (record.custody !== undefined) {
      keyed.push(place + 1);
      subjects.push(record.custody.subject);
      wrapped.push(record.custody.wrappedKey ?? NO_KEY);
    }
    blob.set(hashOf(record), offset);
    blob.set(header, offset + HASH_BYTES);
    blob.set(payload, offset + HASH_BYTES + header.length);
    offset += HASH_BYTES + header.length + payload.length;
  }
  return [
    accounts.map(([producer]) => producer),
    arrayOf(accounts.map(([, account]) => `"${multirange(account.accounted)}"`)),
    arrayOf(accounts.map(([, account]) => account.closeNumber ?? "null")),
    arrayOf(accounts.map(([, account]) => account.lastNumber ?? "null")),
    ...columns.map(arrayOf),
    texts.join("\u001f"),
    blob,
    arrayOf(keyed),
    arrayOf(subjects),
    Buffer.concat(wrapped),
  ];
}

const NO_KEY = new Uint8Array(WRAPPED_KEY_BYTES);

const arrayOf = (values: readonly (string | number | bigint)[]): string => `{${values.join(",")}}`;

const multirange = (ranges: readonly NumberRange[]): string =>
  `{${ranges.map(({ first, last }) => `[${first},${last}]`).join(",")}}`;

/** A batch may hold a record twice; the statement looks for those in the log only. */
function withoutRepetition(records: readonly LogRecord[]): readonly LogRecord[] {
  const seen = new Map<string, Set<number>>();
  const isNew = ({ producer, number }: LogRecord): boolean => {
    let numbers = seen.get(producer);
    if (numbers === undefined) seen.set(producer, (numbers = new Set()));
    return numbers.size !== numbers.add(number).size;
  };
  return records.filter(isNew);
}

function hashOf(record: LogRecord): Uint8Array {
  const payloadDigest = record.payload.length === 0 ? NO_PAYLOAD_DIGEST : sha256(record.payload);
  return leafHash(sha256, { ...record, payloadDigest });
}
