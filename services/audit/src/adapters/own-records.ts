import { create, toBinary } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { searchable } from "@weir/proofs";
import type pg from "pg";
import type { JournaledErasure } from "../domain/erasure.ts";
import { KIND, NO_ATTRIBUTES } from "../domain/record.ts";
import { appendRecords } from "./postgres-log-writer.ts";

type Queryable = Pick<pg.ClientBase, "query">;

/** As append_own() in migrations/audit/0005-retention.sql has it. */
const PRODUCER = "weir.audit";

/** What the record of an erasure adds to what the journal says. */
export interface ErasureFacts {
  readonly stage: audit.ErasureStage;
  readonly atMs: number;
  readonly payloads: number;
  readonly leavesDigest: Uint8Array;
  readonly replayed: boolean;
  readonly lastTransportKey: number;
  readonly lastGeneration: number;
}

/** From then on, to the end of the transaction, nothing else is appended. */
export const lockSequencer = (client: Queryable): Promise<unknown> =>
  client.query("select pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0))");

/** Appends the record in the caller's transaction. @returns its index */
export async function appendErasure(client: Queryable, of: JournaledErasure, facts: ErasureFacts): Promise<number> {
  await lockSequencer(client);
  const message = create(audit.ErasureSchema, {
    erasureId: of.id,
    atMs: BigInt(facts.atMs),
    stage: facts.stage,
    workspaceId: of.workspaceId,
    keyId: of.keyId,
    subjectIds: [...of.subjects],
    payloads: BigInt(facts.payloads),
    leavesDigest: facts.leavesDigest,
    reason: of.reason,
    requestedBy: of.requestedBy,
    replayed: facts.replayed,
    lastTransportKey: BigInt(facts.lastTransportKey),
    lastKeyGeneration: BigInt(facts.lastGeneration),
  });
  const last = await client.query<{ number: string }>(
    "select coalesce(max(number), 0) as number from audit.audit_leaf where producer = (select id from audit.producer where name = $1) and number > 0",
    [PRODUCER],
  );
  const number = Number(last.rows[0]?.number ?? 0) + 1;
  await appendRecords(client, [
    {
      producer: PRODUCER,
      number,
      kind: KIND.erasure,
      intentProducer: "",
      intentNumber: 0,
      header: toBinary(audit.ErasureSchema, message),
      payload: NOTHING,
      payloadOmitted: false,
      attributes: {
        ...NO_ATTRIBUTES,
        atMs: facts.atMs,
        workspaceId: searchable(of.workspaceId),
        keyId: searchable(of.keyId),
      },
      predecessor: undefined,
    },
  ]);
  const { rows } = await client.query<{ index: string }>(
    "select l.index from audit.audit_leaf l join audit.producer p on p.id = l.producer where p.name = $1 and l.number = $2",
    [PRODUCER, number],
  );
  return Number(rows[0]?.index);
}

/** Places and subjects of payloads, of those that retention has removed, too. */
export const SUBJECT_PAYLOADS = `(
  select index, subject from audit.audit_payload where subject is not null union all select index, subject from audit.removed_payload) p`;

const UNREADABLE = `
  select count(*) as payloads, sha256(coalesce(string_agg(int8send(index), '' order by index), '')) as digest
  from ${SUBJECT_PAYLOADS} where subject = any($1::uuid[])`;

/** How many payloads their keys opened, and the digest of their places. */
export async function unreadable(client: Queryable, subjects: readonly string[]) {
  const { rows } = await client.query<{ payloads: string; digest: Buffer }>(UNREADABLE, [subjects]);
  return { payloads: Number(rows[0]?.payloads ?? 0), leavesDigest: rows[0]?.digest ?? NOTHING };
}

const NOTHING = new Uint8Array(0);
