import type pg from "pg";
import type { LivingKeys, StoredErasure } from "../domain/erasure.ts";

type Queryable = Pick<pg.ClientBase, "query">;

interface ErasureRow {
  readonly id: string;
  readonly at_ms: string;
  readonly workspace: string;
  readonly key_id: string;
  readonly subjects: string[];
  readonly reason: string;
  readonly requested_by: string;
  readonly payloads: string;
  readonly index: string;
  readonly last_transport_key: number;
  readonly last_generation: number | null;
  readonly completed_index: string | null;
  readonly completed_at_ms: string | null;
}

const numberOf = (text: string | null): number | undefined => (text === null ? undefined : Number(text));

/** @param where with its parameters, from $1 */
export async function erasureRows(client: Queryable, where: string, values: unknown[]): Promise<StoredErasure[]> {
  const { rows } = await client.query<ErasureRow>(`select * from audit_keys.erasure ${where}`, values);
  return rows.map((row) => ({
    id: row.id,
    atMs: Number(row.at_ms),
    workspaceId: row.workspace,
    keyId: row.key_id,
    subjects: row.subjects,
    reason: row.reason,
    requestedBy: row.requested_by,
    payloads: Number(row.payloads),
    index: Number(row.index),
    lastTransportKey: row.last_transport_key,
    lastGeneration: row.last_generation ?? undefined,
    completedIndex: numberOf(row.completed_index),
    completedAtMs: numberOf(row.completed_at_ms),
  }));
}

export const PENDING = "where completed_at_ms is null order by at_ms, id";

export async function livingKeys(client: Queryable): Promise<LivingKeys> {
  const keys = await client.query<{ number: number; made_at_ms: string; id: Buffer }>(
    "select number, made_at_ms, id from audit_keys.transport_key where destroyed_at_ms is null order by number",
  );
  const transportKeys: LivingKeys["transportKeys"][number][] = [];
  for (const { number, made_at_ms, id } of keys.rows)
    transportKeys.push({ number, madeAtMs: Number(made_at_ms), keptFor: await keptFor(client, number, id) });
  const generations = await client.query<{ number: number }>(
    "select number from audit_keys.generation where destroyed_at_ms is null order by number",
  );
  return { transportKeys, generations: generations.rows.map(({ number }) => number) };
}

/** What may still come, or has no other key. */
export async function keptFor(client: Queryable, number: number, id: Buffer): Promise<string[]> {
  const { rows } = await client.query<{ producer: string }>(HOLDING, [number]);
  const old = await client.query<{ payloads: string }>(OLD_PAYLOADS, [Buffer.concat([VERSION_1, id])]);
  const payloads = Number(old.rows[0]?.payloads ?? 0);
  return [
    ...rows.map(({ producer }) => `records of ${producer === "" ? "an ingress of an older release" : producer}`),
    ...(payloads === 0 ? [] : [`${payloads} payloads of before subjects had keys`]),
  ];
}

const VERSION_1 = Buffer.from([1]);
const OLD_PAYLOADS =
  "select count(*) as payloads from audit.audit_payload where subject is null and substring(sealed from 1 for 9) = $1";

// An epoch is done with a key when all is stored that it wrote before it went on to a later one, or all that it wrote at all.
const HOLDING = `
  select h.producer from audit_keys.key_holder h
  left join audit.producer p on p.name = h.producer
  left join audit.producer_progress g on g.producer = p.id
  left join lateral (select upper(r) - 1 as contiguous from unnest(g.accounted) r where lower(r) = 1) c on true
  where h.transport_key = $1 and not h.abandoned
    and not coalesce(h.moved_on <= c.contiguous or g.close_number <= c.contiguous or g.last_number <= c.contiguous, false)
  order by h.producer limit 100`;
