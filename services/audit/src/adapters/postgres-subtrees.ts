import { rootOf, type Sha256, type Subtree } from "@weir/proofs";
import type pg from "pg";

type Queryable = Pick<pg.ClientBase, "query">;

/** The kept levels are so far apart: see tree_node in migrations/audit/0002-heads.sql. */
const LEVELS_APART = 8;

/** Hashes that lie side by side in one value: an array of bytea costs more than all the rest. */
export function* hashesIn(blob: Buffer | null): Generator<Buffer> {
  for (let at = 0; blob !== null && at < blob.length; at += 32) yield blob.subarray(at, at + 32);
}

export async function leafHashes(client: Queryable, from: number, to: number): Promise<Buffer[]> {
  const { rows } = await client.query<{ hashes: Buffer | null }>(
    "select string_agg(hash, ''::bytea order by index) as hashes from audit_leaf where index >= $1 and index < $2",
    [from, to],
  );
  const found = [...hashesIn(rows[0]?.hashes ?? null)];
  if (found.length !== to - from) throw new Error(`the log has ${found.length} leaves between ${from} and ${to}`);
  return found;
}

/** The root of a full subtree, from the kept level under it. */
export async function subtreeRoot(client: Queryable, sha256: Sha256, { level, index }: Subtree): Promise<Uint8Array> {
  const below = level % LEVELS_APART;
  const kept = level - below;
  const count = 2 ** below;
  const from = index * count;
  if (kept === 0) return rootOf(sha256, await leafHashes(client, from, from + count));
  const { rows } = await client.query<{ hashes: Buffer | null }>(
    "select string_agg(hash, ''::bytea order by index) as hashes from tree_node where level = $1 and index >= $2 and index < $3",
    [kept, from, from + count],
  );
  const found = [...hashesIn(rows[0]?.hashes ?? null)];
  if (found.length !== count) throw new Error(`the tree lacks nodes of level ${kept} from ${from}`);
  return rootOf(sha256, found);
}
