import { randomUUID } from "node:crypto";
import { audit } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { subjectDigest } from "@weir/sealing";
import type pg from "pg";
import type { ErasureRequest, JournaledErasure, StoredErasure } from "../domain/erasure.ts";
import type { ErasureStore } from "../ports.ts";
import { erasureRows, livingKeys, PENDING } from "./erasure-rows.ts";
import { appendErasure, lockSequencer, SUBJECT_PAYLOADS, unreadable } from "./own-records.ts";
import { type ErasureKeys, keySession } from "./postgres-key-session.ts";
import { GENERATION, lookupOf, lookupsOf, wrapSubject } from "./subject-keys.ts";
import { TRANSPORT_KEY } from "./postgres-key-holders.ts";
import { asUnavailable } from "./unavailable.ts";

const LOCK = "weir.audit.erasures";
const NO_KEY = new Uint8Array(0);

export function postgresErasures(pool: pg.Pool, keys: ErasureKeys): ErasureStore {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw asUnavailable(error);
    }
  };
  const withClient = <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
    guarded(async () => {
      const client = await pool.connect();
      let broken: Error | undefined;
      try {
        return await work(client);
      } catch (error) {
        // A connection that may still hold a lock is not used again.
        broken = error instanceof Error ? error : new Error(String(error));
        throw error;
      } finally {
        client.release(broken);
      }
    });
  const alone = <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> =>
    withClient(async (client) => {
      await client.query("select pg_advisory_lock(hashtextextended($1, 0))", [LOCK]);
      const result = await work(client);
      await client.query("select pg_advisory_unlock(hashtextextended($1, 0))", [LOCK]);
      return result;
    });

  return {
    erase: (asked, beforeCommit) => withClient((client) => erase(client, asked, keys, beforeCommit)),
    count: (subject) =>
      guarded(async () => {
        await keys.folder.requireOwn(pool);
        const { rows } = await pool.query<{ payloads: string }>(COUNT, [
          lookupsOf(subjectDigest(subject), keys.generations),
        ]);
        return Number(rows[0]?.payloads ?? 0);
      }),
    replay: (entries, nowMs) =>
      alone(async (client) => {
        const known = await client.query<{ id: string }>(
          "select id from audit_keys.erasure where id = any($1::uuid[])",
          [entries.map(({ id }) => id)],
        );
        const there = new Set(known.rows.map(({ id }) => id));
        const missing = entries.filter(({ id }) => !there.has(id));
        for (const entry of missing) await again(client, entry, keys, nowMs);
        return missing.length;
      }),
    list: (limit, pending) =>
      guarded(() =>
        pending
          ? erasureRows(pool, `${PENDING} limit $1`, [limit])
          : erasureRows(pool, "order by at_ms desc, id limit $1", [limit]),
      ),
    find: (id) => guarded(async () => (await erasureRows(pool, "where id = $1", [id]))[0]),
    leaves: (of, from, limit, atFirst) =>
      guarded(async () => {
        const before = atFirst ? of.index : Number.MAX_SAFE_INTEGER;
        const { rows } = await pool.query<{ index: string }>(LEAVES, [of.subjects, from, before, limit]);
        return rows.map(({ index }) => Number(index));
      }),
    keys: () => guarded(() => livingKeys(pool)),
    alone: (work) => alone((client) => work(keySession(client, keys))),
  };
}

const COUNT = `
  select count(*) as payloads from audit.audit_payload p join audit_keys.subject s on s.id = p.subject
  where s.lookup = any($1::bytea[]) and p.wrapped_key is not null`;
const LEAVES = `
  select index from ${SUBJECT_PAYLOADS} where subject = any($1::uuid[]) and index >= $2 and index < $3 order by index limit $4`;
async function inTransaction<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query("begin");
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

function erase(
  client: pg.PoolClient,
  { id, atMs, subject, reason, requestedBy }: ErasureRequest,
  keys: ErasureKeys,
  beforeCommit: (entry: JournaledErasure) => void,
): Promise<StoredErasure> {
  const digest = subjectDigest(subject);
  const keyId = "keyId" in subject ? subject.keyId : "";
  const { workspaceId } = subject;
  return inTransaction(client, async () => {
    await keys.folder.requireOwn(client);
    // Until the end none is made, nor put under another generation: what is found by these names is all there is of the subject.
    await client.query("lock table audit_keys.subject in share row exclusive mode");
    // Waits for who is just storing a payload of the subject, and holds up who comes next.
    const destroyed = await client.query<{ id: string }>(
      "delete from audit_keys.subject where lookup = any($1::bytea[]) returning id",
      [lookupsOf(digest, keys.generations)],
    );
    const subjects = destroyed.rows.map((row) => row.id).sort();
    if (subjects.length === 0) subjects.push(randomUUID());
    // Before the sequencer is held: a subject may have a million, and no more can come.
    const found = await unreadable(client, subjects);
    await lockSequencer(client);
    await refuseUnderHold(client, workspaceId, keyId);
    const entry: JournaledErasure = { id, atMs, workspaceId, keyId, subjects, reason, requestedBy };
    const stored = await record(client, entry, found, keys, { atMs, replayed: false });
    const number = keys.generations.newest();
    const generation = keys.generations.keys(number);
    if (generation === undefined) throw new WeirError("audit_unavailable", "Keys of subjects are just being replaced.");
    await client.query(GENERATION, [number, atMs]);
    await client.query(
      "insert into audit_keys.tombstone (erasure, subject, before_ms, lookup, wrapped, generation) values ($1, $2, $3, $4, $5, $6)",
      [id, subjects[0], atMs, lookupOf(digest, generation), wrapSubject(NO_KEY, digest, generation), number],
    );
    // The journal first: an erasure that it has and the database has not is done by the next start.
    beforeCommit(entry);
    return stored;
  });
}

/** An older state of the database was restored: its subject's key is there again. */
const again = (client: pg.PoolClient, entry: JournaledErasure, keys: ErasureKeys, nowMs: number): Promise<unknown> =>
  inTransaction(client, async () => {
    await client.query("delete from audit_keys.subject where id = any($1::uuid[])", [entry.subjects]);
    // What comes late of a subject that is erased already is still stored.
    await lockSequencer(client);
    const found = await unreadable(client, entry.subjects);
    await record(client, entry, found, keys, { atMs: nowMs, replayed: true });
  });

async function record(
  client: pg.PoolClient,
  entry: JournaledErasure,
  found: Awaited<ReturnType<typeof unreadable>>,
  { transport }: ErasureKeys,
  { atMs, replayed }: { readonly atMs: number; readonly replayed: boolean },
): Promise<StoredErasure> {
  const newest = transport.newest();
  await client.query(TRANSPORT_KEY, [newest.number, newest.id, atMs]);
  const index = await appendErasure(client, entry, {
    stage: audit.ErasureStage.KEY_DESTROYED,
    atMs,
    ...found,
    replayed,
    lastTransportKey: 0,
    lastGeneration: 0,
  });
  const { rows } = await client.query<{ id: string }>(INSERT, [
    entry.id,
    entry.atMs,
    entry.workspaceId,
    entry.keyId,
    entry.subjects,
    entry.reason,
    entry.requestedBy,
    found.payloads,
    index,
    newest.number,
  ]);
  if (rows[0] === undefined) throw new Error("an erasure was not stored");
  return {
    ...entry,
    payloads: found.payloads,
    index,
    lastTransportKey: newest.number,
    lastGeneration: undefined,
    completedIndex: undefined,
    completedAtMs: undefined,
  };
}

const INSERT = `
  insert into audit_keys.erasure (id, at_ms, workspace, key_id, subjects, reason, requested_by, payloads, index, last_transport_key)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id`;

async function refuseUnderHold(client: pg.PoolClient, workspaceId: string, keyId: string): Promise<void> {
  const { rows } = await client.query<{ hold: string | null }>("select audit.held($1, $2, null, null) as hold", [
    workspaceId,
    keyId === "" ? null : keyId,
  ]);
  const hold = rows[0]?.hold ?? undefined;
  if (hold === undefined) return;
  throw new WeirError("permission_denied", `Legal hold ${hold} covers this subject: nothing of it may be erased.`);
}
