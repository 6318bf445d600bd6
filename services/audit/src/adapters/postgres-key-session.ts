import { audit } from "@weir/contracts";
import type pg from "pg";
import type { KeySession, TransportKeys } from "../ports.ts";
import { erasureRows, keptFor, livingKeys, PENDING } from "./erasure-rows.ts";
import type { KeyFolder } from "./key-folder.ts";
import type { KeyGenerationFolder } from "./key-generations.ts";
import { appendErasure, unreadable } from "./own-records.ts";
import { TRANSPORT_KEY } from "./postgres-key-holders.ts";
import { GENERATION, rewrapped } from "./subject-keys.ts";

export interface ErasureKeys {
  readonly transport: TransportKeys;
  readonly generations: KeyGenerationFolder;
  readonly folder: KeyFolder;
}

/** Files are made before the database hears of them, and destroyed after it did: a crash between is made up for by `reconcile`. */
export function keySession(client: pg.PoolClient, { transport, generations, folder }: ErasureKeys): KeySession {
  async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
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

  async function reconcileTransportKeys(nowMs: number): Promise<void> {
    const { rows } = await client.query<{ number: number; id: Buffer; destroyed: boolean }>(
      "select number, id, destroyed_at_ms is not null as destroyed from audit_keys.transport_key order by number",
    );
    const known = new Map(rows.map((row) => [row.number, row]));
    for (const { number, id } of transport.all()) {
      const row = known.get(number);
      if (row === undefined) await client.query(TRANSPORT_KEY, [number, id, nowMs]);
      else if (row.destroyed && row.id.equals(id)) transport.destroy(number);
    }
    // Keys were lost: what is made in it must not have numbers that stand for other keys.
    const newest = transport.all().at(-1);
    const last = rows.at(-1);
    const stands = newest !== undefined && (known.get(newest.number)?.id.equals(newest.id) ?? true);
    if (last !== undefined && !(stands && newest.number >= last.number)) {
      transport.make(Math.max(last.number, newest?.number ?? 0) + 1);
      for (const { number, id } of transport.all()) await client.query(TRANSPORT_KEY, [number, id, nowMs]);
    }
    await client.query(
      "delete from audit_keys.key_holder h using audit_keys.transport_key k where k.number = h.transport_key and k.destroyed_at_ms is not null",
    );
    const there = transport.all().map(({ id }) => id);
    await client.query(
      "update audit_keys.transport_key set destroyed_at_ms = $2 where destroyed_at_ms is null and id <> all($1::bytea[])",
      [there, nowMs],
    );
  }

  async function reconcileGenerations(nowMs: number): Promise<void> {
    const { rows } = await client.query<{ number: number; destroyed: boolean }>(
      "select number, destroyed_at_ms is not null as destroyed from audit_keys.generation order by number",
    );
    for (const { number, destroyed } of rows) if (destroyed) generations.destroy(number);
    const last = rows.at(-1)?.number ?? 0;
    if (last > 0 && (generations.all().at(-1) ?? 0) < last) generations.make(last + 1);
    for (const number of generations.all()) await client.query(GENERATION, [number, nowMs]);
    await client.query(
      "update audit_keys.generation set destroyed_at_ms = $2 where destroyed_at_ms is null and number <> all($1::int[])",
      [generations.all(), nowMs],
    );
  }

  return {
    async reconcile(nowMs) {
      await folder.requireOwn(client);
      await reconcileTransportKeys(nowMs);
      await reconcileGenerations(nowMs);
    },
    keys: () => livingKeys(client),
    async retireTransportKey(number, nowMs) {
      const retired = await inTransaction(async () => {
        // From here on it is told to nobody: see TELL.
        const { rows } = await client.query<{ id: Buffer }>(
          "update audit_keys.transport_key set destroyed_at_ms = $2 where number = $1 and destroyed_at_ms is null returning id",
          [number, nowMs],
        );
        const id = rows[0]?.id;
        if (id === undefined) return false;
        if ((await keptFor(client, number, id)).length === 0) return true;
        await client.query("update audit_keys.transport_key set destroyed_at_ms = null where number = $1", [number]);
        return false;
      });
      if (retired) transport.destroy(number);
      return retired;
    },
    async rewrap(to, limit) {
      const target = generations.keys(to);
      if (target === undefined) return 0;
      await client.query(GENERATION, [to, 0]);
      const others = generations.all().filter((number) => number !== to);
      let found = 0;
      for (const [table, id] of TABLES) {
        const { rows } = await client.query<{ id: string; wrapped: Buffer; generation: number }>(
          `select ${id} as id, wrapped, generation from audit_keys.${table} where generation = any($1::int[]) limit $2`,
          [others, limit],
        );
        const anew = rows.flatMap((row) => {
          const from = generations.keys(row.generation);
          return from === undefined ? [] : [{ id: row.id, ...rewrapped(row.wrapped, from, target) }];
        });
        await client.query(
          `update audit_keys.${table} t set lookup = n.lookup, wrapped = n.wrapped, generation = $4
           from unnest($1::uuid[], $2::bytea[], $3::bytea[]) n(id, lookup, wrapped) where t.${id} = n.id`,
          [anew.map((row) => row.id), anew.map(({ lookup }) => lookup), anew.map(({ wrapped }) => wrapped), to],
        );
        found += anew.length;
      }
      return found;
    },
    async retireGeneration(number, nowMs) {
      const retired = await inTransaction(async () => {
        // Waits for who is just making a subject's key under it.
        await client.query("update audit_keys.generation set destroyed_at_ms = $2 where number = $1", [number, nowMs]);
        const { rows } = await client.query<{ used: boolean }>(
          `select exists (select from audit_keys.subject where generation = $1)
             or exists (select from audit_keys.tombstone where generation = $1) as used`,
          [number],
        );
        if (rows[0]?.used !== true) return true;
        await client.query("update audit_keys.generation set destroyed_at_ms = null where number = $1", [number]);
        return false;
      });
      if (retired) generations.destroy(number);
      return retired;
    },
    async abandon(producers) {
      await client.query("update audit_keys.key_holder set abandoned = true where producer = any($1)", [producers]);
    },
    closeErasure: (id, lastGeneration) =>
      inTransaction(async () => {
        await client.query("delete from audit_keys.tombstone where erasure = $1", [id]);
        await client.query("update audit_keys.erasure set last_generation = $2 where id = $1", [id, lastGeneration]);
      }),
    completeErasure: (id, nowMs) =>
      inTransaction(async () => {
        const [of] = await erasureRows(client, "where id = $1 and completed_at_ms is null", [id]);
        if (of === undefined) return;
        const found = await unreadable(client, of.subjects);
        const index = await appendErasure(client, of, {
          stage: audit.ErasureStage.COMPLETE,
          atMs: nowMs,
          ...found,
          replayed: false,
          lastTransportKey: of.lastTransportKey,
          lastGeneration: of.lastGeneration ?? 0,
        });
        await client.query(
          "update audit_keys.erasure set completed_index = $2, completed_at_ms = $3, payloads = $4 where id = $1",
          [id, index, nowMs, found.payloads],
        );
      }),
    pending: () => erasureRows(client, PENDING, []),
  };
}

const TABLES = [
  ["subject", "id"],
  ["tombstone", "erasure"],
] as const;
