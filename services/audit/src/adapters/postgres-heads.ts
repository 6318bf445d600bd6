import { type EpochMark, type Sha256, subtreesOf } from "@weir/proofs";
import type pg from "pg";
import type { SigningKeyFacts } from "../domain/head.ts";
import type { HeadSession, HeadStore, StoredHead } from "../ports.ts";
import { leafHashes, subtreeRoot } from "./postgres-subtrees.ts";
import { asUnavailable } from "./unavailable.ts";

type Queryable = Pick<pg.ClientBase, "query">;

const LOCK = "weir.audit.heads";

export interface HeadRow {
  readonly size: string;
  readonly head: Buffer;
  readonly key_id: Buffer;
  readonly signature: Buffer;
}

export const HEAD = "select size, head, key_id, signature from tree_head";

export const headOf = (row: HeadRow): StoredHead => ({
  size: Number(row.size),
  head: row.head,
  keyId: row.key_id,
  signature: row.signature,
});

export async function signingKeysOf(client: Queryable): Promise<SigningKeyFacts[]> {
  interface Row {
    readonly id: Buffer;
    readonly public_key: Buffer;
    readonly endorsement: Buffer | null;
    readonly created_at: Date;
  }
  const { rows } = await client.query<Row>(
    "select id, public_key, endorsement, created_at from signing_key order by number",
  );
  return rows.map((row) => ({
    id: row.id,
    publicKey: row.public_key,
    endorsement: row.endorsement ?? new Uint8Array(0),
    createdAtMs: row.created_at.getTime(),
  }));
}

export async function logIdOf(client: Queryable): Promise<Uint8Array> {
  const { rows } = await client.query<{ id: Buffer }>("select uuid_send(id) as id from log");
  return (rows[0] as { id: Buffer }).id;
}

export async function sizeOf(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ size: string }>("select coalesce(max(index) + 1, 0) as size from audit_leaf");
  return Number(rows[0]?.size ?? 0);
}

export function postgresHeads(pool: pg.Pool, sha256: Sha256): HeadStore {
  return {
    async alone(work) {
      let client: pg.PoolClient;
      try {
        client = await pool.connect();
      } catch (error) {
        throw asUnavailable(error);
      }
      let broken: Error | undefined;
      try {
        // Before the transaction, whose one look at the log must not be older than the lock.
        const locked = await client.query<{ locked: boolean }>(
          "select pg_try_advisory_lock(hashtextextended($1, 0)) as locked",
          [LOCK],
        );
        if (locked.rows[0]?.locked !== true) return undefined;
        try {
          await client.query("begin isolation level repeatable read");
          const result = await work(session(client, sha256));
          await client.query("commit");
          return result;
        } catch (error) {
          await client.query("rollback");
          throw error;
        } finally {
          await client.query("select pg_advisory_unlock(hashtextextended($1, 0))", [LOCK]);
        }
      } catch (error) {
        // A connection that may still hold the lock is not used again.
        broken = error instanceof Error ? error : new Error(String(error));
        throw asUnavailable(error);
      } finally {
        client.release(broken);
      }
    },
    async unpublished(place, limit) {
      const text = `${HEAD} where size > coalesce((select max(size) from head_publication where place = $1), 0) order by size limit $2`;
      try {
        return (await pool.query<HeadRow>(text, [place, limit])).rows.map(headOf);
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    async markPublished(place, size) {
      try {
        await pool.query("insert into head_publication (place, size) values ($1, $2) on conflict do nothing", [
          place,
          size,
        ]);
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    async signingKeys() {
      try {
        return await signingKeysOf(pool);
      } catch (error) {
        throw asUnavailable(error);
      }
    },
  };
}

const MOVED_EPOCHS = `
  with moved as (
    select producer as id from audit_leaf where index >= $1 and index < $2
    union select intent_producer from audit_leaf where index >= $1 and index < $2 and intent_producer is not null
  )
  select p.name as producer, coalesce(c.contiguous, 0) as contiguous, coalesce(g.close_number <= c.contiguous, false) as closed
  from moved join producer p using (id) join producer_progress g on g.producer = p.id
  left join lateral (select upper(r) - 1 as contiguous from unnest(g.accounted) r where lower(r) = 1) c on true`;

function session(client: pg.PoolClient, sha256: Sha256): HeadSession {
  return {
    logId: () => logIdOf(client),
    size: () => sizeOf(client),
    signingKeys: () => signingKeysOf(client),
    async lastHead() {
      const { rows } = await client.query<HeadRow>(`${HEAD} order by size desc limit 1`);
      return rows[0] === undefined ? undefined : headOf(rows[0]);
    },
    async peaks(size) {
      const peaks: Uint8Array[] = [];
      for (const subtree of subtreesOf({ from: 0, to: size })) peaks.push(await subtreeRoot(client, sha256, subtree));
      return peaks;
    },
    leafHashes: (from, to) => leafHashes(client, from, to),
    async movedEpochs(from, to) {
      interface Row {
        readonly producer: string;
        readonly contiguous: string;
        readonly closed: boolean;
      }
      const { rows } = await client.query<Row>(MOVED_EPOCHS, [from, to]);
      return rows.map((row): EpochMark => ({ ...row, contiguous: Number(row.contiguous) }));
    },
    async addNodes(nodes) {
      if (nodes.length === 0) return;
      await client.query(
        `insert into tree_node (level, index, hash)
         select level, index, substring($3::bytea from (o * 32 - 31)::int for 32)
         from unnest($1::smallint[], $2::bigint[]) with ordinality n(level, index, o) on conflict do nothing`,
        [
          nodes.map(({ level }) => level),
          nodes.map(({ index }) => index),
          Buffer.concat(nodes.map(({ hash }) => hash)),
        ],
      );
    },
    async addHead({ size, head, keyId, signature }) {
      await client.query("insert into tree_head (size, head, key_id, signature) values ($1, $2, $3, $4)", [
        size,
        Buffer.from(head),
        Buffer.from(keyId),
        Buffer.from(signature),
      ]);
    },
    async addKey({ id, publicKey, endorsement }) {
      const known = await signingKeysOf(client);
      // Null is the log's first only.
      const stored = known.length === 0 ? null : Buffer.from(endorsement);
      await client.query("insert into signing_key (id, public_key, endorsement) values ($1, $2, $3)", [
        Buffer.from(id),
        Buffer.from(publicKey),
        stored,
      ]);
    },
  };
}
