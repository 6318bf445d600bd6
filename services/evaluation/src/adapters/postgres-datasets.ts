import { hash } from "node:crypto";
import { WeirError } from "@weir/kernel";
import type pg from "pg";
import { CHAIN_START, chainInput, type DatasetLine } from "../domain/dataset.ts";
import type { RunStore } from "../ports.ts";
import { inTransaction, isDuplicate, rowsOf } from "./postgres-rows.ts";

type DatasetStore = Pick<RunStore, "startUpload" | "append" | "commit" | "lines">;

/** Read at once: so many lines, or fewer of more bytes than this. */
const PAGE_LINES = 500;
const PAGE_BYTES = 4_194_304;

export function postgresDatasets(pool: pg.Pool): DatasetStore {
  const rows = rowsOf(pool);
  return {
    async startUpload(id, name, atMs, forgetMs) {
      await inTransaction(pool, async (client) => {
        await client.query(FORGET_RECORDS, [forgetMs]);
        await client.query(FORGET_UPLOADS, [forgetMs]);
        await client.query("insert into upload (id, name, at_ms) values ($1, $2, $3)", [id, name, atMs]);
      });
    },
    append: (upload, first, lines, sinceMs) =>
      inTransaction(pool, (client) => append(client, upload, first, lines, sinceMs)),
    commit: (upload, atMs, sinceMs) =>
      inTransaction(pool, async (client) => {
        const { count, chain } = await endOf(client, upload, sinceMs);
        if (count === 0) throw new WeirError("invalid_request", "A dataset has at least one record.");
        // Where the content is known, this upload is not needed, and forgotten after a day.
        await client.query(
          "insert into dataset (digest, upload, records, at_ms) values (decode($1, 'hex'), $2, $3, $4) on conflict do nothing",
          [chain, upload, count, atMs],
        );
        return { digest: chain, records: count };
      }),
    lines: async (upload, ordinal) =>
      (await rows<{ text: string }>(LINES, [upload, ordinal, PAGE_LINES, PAGE_BYTES])).map(({ text }) => text),
  };
}

// A batch of records at a time: an upload may hold millions, and a statement has seconds.
const FORGET_RECORDS = `
  delete from dataset_record where (upload, ordinal) in (
    select r.upload, r.ordinal from dataset_record r join upload u on u.id = r.upload
    where u.at_ms < $1 and not exists (select from dataset d where d.upload = u.id) limit 20000)`;
const FORGET_UPLOADS = `
  delete from upload u where at_ms < $1 and not exists (select from dataset d where d.upload = u.id)
    and not exists (select from dataset_record r where r.upload = u.id)`;

const LINES = `
  select text from (
    select ordinal, text, sum(length(text)) over (order by ordinal) as total
    from (select ordinal, text from dataset_record where upload = $1 and ordinal >= $2 and ordinal < $2 + $3) page
  ) summed
  where total <= $4 or ordinal = $2 order by ordinal`;

const APPEND = `
  insert into dataset_record (upload, ordinal, id, text, chain)
  select $1, ordinal, id, text, decode(chain, 'hex')
  from unnest($2::int[], $3::text[], $4::text[], $5::text[]) g(ordinal, id, text, chain)`;

async function append(
  client: pg.PoolClient,
  upload: string,
  first: number,
  lines: readonly DatasetLine[],
  sinceMs: number,
): Promise<number> {
  const { count, chain, committed } = await endOf(client, upload, sinceMs);
  if (first > count) throw new WeirError("invalid_request", `There are ${count} records, not ${first}.`);
  const known = await client.query<{ text: string }>(
    "select text from dataset_record where upload = $1 and ordinal >= $2 and ordinal < $2 + $3 order by ordinal",
    [upload, first, lines.length],
  );
  if (known.rows.some(({ text }, at) => text !== lines[at]?.text)) {
    throw new WeirError("invalid_request", "Other records are there already.", { param: "first" });
  }
  const added = lines.slice(known.rows.length);
  if (added.length === 0) return count;
  if (committed) throw new WeirError("already_exists", "The upload is committed: a dataset never changes.");
  let before = chain;
  const chains = added.map((line) => (before = hash("sha256", chainInput(before, line))));
  const values = [added.map((_, at) => count + at), added.map(({ id }) => id), added.map(({ text }) => text), chains];
  try {
    await client.query(APPEND, [upload, ...values]);
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
}

/** Nobody else appends until the transaction ends. */
async function endOf(client: pg.PoolClient, upload: string, sinceMs: number): Promise<End> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('weir.evaluation.upload ' || $1, 0))", [upload]);
  const held = await client.query<{ committed: boolean }>(
    "select exists (select from dataset where upload = u.id) as committed from upload u where id = $1 and at_ms >= $2",
    [upload, sinceMs],
  );
  if (held.rows[0] === undefined) throw new WeirError("not_found", `There is no upload ${upload}.`);
  const last = await client.query<{ ordinal: number; chain: string }>(
    "select ordinal, encode(chain, 'hex') as chain from dataset_record where upload = $1 order by ordinal desc limit 1",
    [upload],
  );
  const [end] = last.rows;
  return end === undefined
    ? { count: 0, chain: hash("sha256", CHAIN_START), committed: false }
    : { count: end.ordinal + 1, chain: end.chain, committed: held.rows[0].committed };
}
