import { hash } from "node:crypto";
import { WeirError } from "@weir/kernel";
import type pg from "pg";
import { CHAIN_START, chainInput, type DatasetLine } from "../domain/dataset.ts";
import type { RunStore } from "../ports.ts";
import { inTransaction, isDuplicate, rowsOf } from "./postgres-rows.ts";
import type { TextKey, TextKeys } from "./sealed-texts.ts";

type DatasetStore = Pick<RunStore, "startUpload" | "forgetUploads" | "append" | "commit" | "lines" | "erase">;

/** Read at once: lines of no more bytes than this. */
const PAGE_BYTES = 4_194_304;
/** Deleted at once: a dataset may hold millions of lines, and a statement has seconds. */
const BATCH = 20_000;

const SOURCE = { uploaded: 1, recorded: 2 } as const;

export const sourceOf = (stored: number): keyof typeof SOURCE => (stored === SOURCE.recorded ? "recorded" : "uploaded");

export function postgresDatasets(pool: pg.Pool, keys: TextKeys): DatasetStore {
  const rows = rowsOf(pool);
  return {
    async startUpload(id, name, source, atMs) {
      await inTransaction(pool, async (client) => {
        await client.query("insert into upload (id, name, source, at_ms) values ($1, $2, $3, $4)", [
          id,
          name,
          SOURCE[source],
          atMs,
        ]);
        await client.query("insert into dataset_key (upload, sealed) values ($1, $2)", [id, keys.make(id)]);
      });
    },
    async forgetUploads(beforeMs) {
      for (let left = BATCH; left === BATCH; ) left = (await rows(FORGET_RECORDS, [beforeMs, BATCH])).length;
      await rows(FORGET_UPLOADS, [beforeMs]);
    },
    append: (upload, first, lines, sinceMs) =>
      inTransaction(pool, (client) => append(client, keys, upload, first, lines, sinceMs)),
    commit: (upload, atMs, sinceMs) =>
      inTransaction(pool, async (client) => {
        const { count, chain } = await endOf(client, upload, sinceMs);
        if (count === 0) throw new WeirError("invalid_request", "A dataset has at least one record.");
        const erased = await client.query("select from dataset_erasure where dataset = decode($1, 'hex')", [chain]);
        if (erased.rowCount !== 0)
          throw new WeirError("already_exists", `These records were dataset ${chain}, which was erased.`);
        // Where the content is known, this upload is not needed, and forgotten after a day.
        await client.query(
          "insert into dataset (digest, upload, records, at_ms) values (decode($1, 'hex'), $2, $3, $4) on conflict do nothing",
          [chain, upload, count, atMs],
        );
        return { digest: chain, records: count };
      }),
    async lines(upload, ordinal, most) {
      const found = await rows<LineRow>(LINES, [upload, ordinal, most, PAGE_BYTES]);
      const key = found.some(({ sealed }) => sealed !== null) ? await keyOf(rows, keys, upload) : undefined;
      return found.map(({ ordinal: at, text, sealed }) =>
        sealed === null ? (text ?? "") : (key?.open(sealed, lineName(upload, at)) ?? ""),
      );
    },
    async erase(dataset, atMs) {
      const [uploads, erasedMs] = await inTransaction(pool, async (client) => {
        const found = await client.query<{ upload: string }>(
          "select upload from dataset where digest = decode($1, 'hex')",
          [dataset],
        );
        const [row] = found.rows;
        if (row === undefined)
          throw new WeirError("not_found", `There is no dataset ${dataset}.`, { param: "dataset" });
        await client.query(
          "insert into dataset_erasure (dataset, at_ms) values (decode($1, 'hex'), $2) on conflict do nothing",
          [dataset, atMs],
        );
        const copies = await client.query<{ id: string }>(COPIES, [dataset]);
        const all = [row.upload, ...copies.rows.map(({ id }) => id)];
        await client.query("delete from dataset_key where upload = any($1::uuid[])", [all]);
        const first = await client.query<{ at_ms: string }>(
          "select at_ms from dataset_erasure where dataset = decode($1, 'hex')",
          [dataset],
        );
        return [all, Number(first.rows[0]?.at_ms)] as const;
      });
      for (const upload of uploads)
        for (let left = BATCH; left === BATCH; ) left = (await rows(ERASE_RECORDS, [upload, BATCH])).length;
      for (let left = BATCH; left === BATCH; ) left = (await rows(ERASE_ANSWERS, [dataset, BATCH])).length;
      return erasedMs;
    },
  };
}

interface LineRow {
  readonly ordinal: number;
  readonly text: string | null;
  readonly sealed: Buffer | null;
}

const lineName = (upload: string, ordinal: number): string => `${upload} ${ordinal}`;

/** @throws WeirError not_found where it was destroyed */
export async function keyOf(rows: ReturnType<typeof rowsOf>, keys: TextKeys, upload: string): Promise<TextKey> {
  const [row] = await rows<{ sealed: Buffer }>("select sealed from dataset_key where upload = $1", [upload]);
  if (row === undefined) throw new WeirError("not_found", "The dataset's texts were erased.");
  return keys.open(row.sealed, upload);
}

const FORGET_RECORDS = `
  delete from dataset_record where (upload, ordinal) in (
    select r.upload, r.ordinal from dataset_record r join upload u on u.id = r.upload
    where u.at_ms < $1 and not exists (select from dataset d where d.upload = u.id) limit $2) returning 1`;
const FORGET_UPLOADS = `
  delete from upload u where at_ms < $1 and not exists (select from dataset d where d.upload = u.id)
    and not exists (select from dataset_record r where r.upload = u.id)`;

// Uploaded once more, whether they were committed or not. They are few: uploads that are no dataset are forgotten.
const COPIES = `
  select u.id from upload u
  where not exists (select from dataset d where d.upload = u.id)
    and (select chain from dataset_record r where r.upload = u.id order by ordinal desc limit 1) = decode($1, 'hex')`;

const ERASE_RECORDS = `
  delete from dataset_record where upload = $1
    and ordinal in (select ordinal from dataset_record where upload = $1 order by ordinal limit $2) returning 1`;
const ERASE_ANSWERS = `
  delete from run_answer where (run, ordinal) in (
    select a.run, a.ordinal from run r join run_answer a on a.run = r.id where r.dataset = decode($1, 'hex') limit $2) returning 1`;

const LINES = `
  select ordinal, text, sealed from (
    select ordinal, text, sealed, sum(coalesce(octet_length(sealed), length(text))) over (order by ordinal) as total
    from (select ordinal, text, sealed from dataset_record where upload = $1 and ordinal >= $2 and ordinal < $2 + $3) page
  ) summed
  where total <= $4 or ordinal = $2 order by ordinal`;

const APPEND = `
  insert into dataset_record (upload, ordinal, id, text, sealed, chain)
  select $1, ordinal, id, text, sealed, decode(chain, 'hex')
  from unnest($2::int[], $3::text[], $4::text[], $5::bytea[], $6::text[]) g(ordinal, id, text, sealed, chain)`;

async function append(
  client: pg.PoolClient,
  keys: TextKeys,
  upload: string,
  first: number,
  lines: readonly DatasetLine[],
  sinceMs: number,
): Promise<number> {
  const { count, chain, committed, source, sealedKey } = await endOf(client, upload, sinceMs);
  if (first > count) throw new WeirError("invalid_request", `There are ${count} records, not ${first}.`);
  // What is there is told by its place in the chain: nothing has to be opened.
  const known = await client.query<{ ordinal: number; chain: string }>(
    `select ordinal, encode(chain, 'hex') as chain from dataset_record
     where upload = $1 and ordinal >= $2::int - 1 and ordinal < $2::int + $3::int order by ordinal`,
    [upload, first, lines.length],
  );
  const chains = new Map(known.rows.map((row) => [row.ordinal, row.chain]));
  let before = first === 0 ? hash("sha256", CHAIN_START) : (chains.get(first - 1) ?? chain);
  let there = 0;
  for (const line of lines) {
    const kept = chains.get(first + there);
    if (kept === undefined) break;
    before = hash("sha256", chainInput(before, line));
    if (before !== kept) throw new WeirError("invalid_request", "Other records are there already.", { param: "first" });
    there++;
  }
  const added = lines.slice(there);
  if (added.length === 0) return count;
  if (committed) throw new WeirError("already_exists", "The upload is committed: a dataset never changes.");
  if (sealedKey === null) throw new WeirError("not_found", `There is no upload ${upload}.`);
  const addedChains = added.map((line) => (before = hash("sha256", chainInput(before, line))));
  const key = source === SOURCE.uploaded ? keys.open(sealedKey, upload) : undefined;
  try {
    await client.query(APPEND, [
      upload,
      added.map((_, at) => count + at),
      added.map(({ id }) => id),
      added.map(({ text }) => (key === undefined ? text : null)),
      added.map(({ text }, at) => key?.seal(text, lineName(upload, count + at)) ?? null),
      addedChains,
    ]);
  } catch (error) {
    if (isDuplicate(error)) throw new WeirError("invalid_request", "Two records have the same id.", { param: "lines" });
    throw error;
  }
  return count + added.length;
}

interface End {
  readonly count: number;
  readonly chain: string;
  readonly committed: boolean;
  readonly source: number;
  readonly sealedKey: Buffer | null;
}

/** Nobody else appends until the transaction ends. */
async function endOf(client: pg.PoolClient, upload: string, sinceMs: number): Promise<End> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('weir.evaluation.upload ' || $1, 0))", [upload]);
  const held = await client.query<{ committed: boolean; source: number; sealed: Buffer | null }>(
    `select exists (select from dataset where upload = u.id) as committed, source, k.sealed
     from upload u left join dataset_key k on k.upload = u.id where id = $1 and at_ms >= $2`,
    [upload, sinceMs],
  );
  const [found] = held.rows;
  if (found === undefined) throw new WeirError("not_found", `There is no upload ${upload}.`);
  const last = await client.query<{ ordinal: number; chain: string }>(
    "select ordinal, encode(chain, 'hex') as chain from dataset_record where upload = $1 order by ordinal desc limit 1",
    [upload],
  );
  const [end] = last.rows;
  const { committed, source, sealed: sealedKey } = found;
  return end === undefined
    ? { count: 0, chain: hash("sha256", CHAIN_START), committed, source, sealedKey }
    : { count: end.ordinal + 1, chain: end.chain, committed, source, sealedKey };
}
