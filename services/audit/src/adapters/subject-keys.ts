import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { WeirError } from "@weir/kernel";
import { unwrap, wrap } from "@weir/sealing";
import type pg from "pg";
import type { GenerationKeys, KeyGenerationFolder } from "./key-generations.ts";

type Queryable = Pick<pg.ClientBase, "query">;
export type Generations = Pick<KeyGenerationFolder, "all" | "newest" | "keys">;

const KEY_BYTES = 32;
const USE = "subject";

/** A subject's key, while it lives. */
export interface SubjectKey {
  readonly id: string;
  readonly key: Buffer;
  /** It was erased: what is not younger than this is erased with it. */
  readonly erased: { readonly subject: string; readonly beforeMs: number } | undefined;
}

/** How a subject is called in the database, under a generation: who does not have that cannot try names. */
export const lookupOf = (digest: Uint8Array, keys: GenerationKeys): Buffer =>
  createHmac("sha256", keys.lookup).update(digest).digest();

/** Under all generations that are there: a subject's row is under any of them. */
export function lookupsOf(digest: Uint8Array, generations: Generations): Buffer[] {
  return generations.all().flatMap((number) => {
    const keys = generations.keys(number);
    return keys === undefined ? [] : [lookupOf(digest, keys)];
  });
}

/** What a tombstone or a subject keeps of itself, to be wrapped anew: key (none in a tombstone), digest. */
export const wrapSubject = (key: Uint8Array, digest: Uint8Array, keys: GenerationKeys): Buffer =>
  wrap(Buffer.concat([key, digest]), keys.wrapping, USE);

/** The same under another generation. @throws SealError */
export function rewrapped(wrapped: Uint8Array, from: GenerationKeys, to: GenerationKeys) {
  const text = unwrap(wrapped, from.wrapping, USE);
  const digest = text.subarray(text.length - 32);
  return { lookup: lookupOf(digest, to), wrapped: wrap(text, to.wrapping, USE) };
}

interface Row {
  readonly id: string;
  readonly wrapped: Buffer;
  readonly generation: number;
}

/** The keys of living subjects, by their ids. @throws WeirError not_found where the generation that they are under is not here */
export async function keysById(client: Queryable, ids: readonly string[], generations: Generations) {
  const { rows } = await client.query<Row>(
    "select id, wrapped, generation from audit_keys.subject where id = any($1::uuid[])",
    [ids],
  );
  return new Map(rows.map((row) => [row.id, keyIn(row, generations)]));
}

function keyIn({ wrapped, generation }: Row, generations: Generations): Buffer {
  const keys = generations.keys(generation);
  if (keys === undefined) {
    throw new WeirError(
      "not_found",
      `The payload cannot be opened: its subject's key is under generation ${generation}, which is not in audit's data folder.`,
    );
  }
  return unwrap(wrapped, keys.wrapping, USE).subarray(0, KEY_BYTES);
}

/**
 * Finds the keys of subjects, and makes those that are missing, one query a batch of them. What it knows it keeps for `forgetMs`: a key that was
 * destroyed must not live on in memory.
 */
export class SubjectKeys {
  readonly #pool: Queryable;
  readonly #generations: Generations;
  readonly #nowMs: () => number;
  readonly #known = new Map<string, SubjectKey>();
  #forgetAtMs = 0;

  constructor(pool: Queryable, generations: Generations, nowMs: () => number) {
    this.#pool = pool;
    this.#generations = generations;
    this.#nowMs = nowMs;
  }

  forget(): void {
    this.#known.clear();
  }

  /** @returns by digest, in hex */
  async of(digests: Iterable<Buffer>): Promise<ReadonlyMap<string, SubjectKey>> {
    const nowMs = this.#nowMs();
    if (nowMs >= this.#forgetAtMs || this.#known.size > MOST_KNOWN) {
      this.#known.clear();
      this.#forgetAtMs = nowMs + FORGET_MS;
    }
    const missing = new Map<string, Buffer>();
    for (const digest of digests) {
      const name = digest.toString("hex");
      if (!this.#known.has(name)) missing.set(name, digest);
    }
    for (let tries = 0; missing.size > 0; tries += 1) {
      // A generation was replaced between two queries, again and again.
      if (tries === MOST_TRIES) throw new WeirError("audit_unavailable", "Keys of subjects are just being rewrapped.");
      for (const [name, key] of await this.#find(missing)) {
        missing.delete(name);
        this.#known.set(name, key);
      }
      if (missing.size > 0) await this.#make(missing);
    }
    return this.#known;
  }

  async #find(missing: ReadonlyMap<string, Buffer>): Promise<ReadonlyMap<string, SubjectKey>> {
    const names = new Map<string, string>();
    for (const [name, digest] of missing)
      for (const lookup of lookupsOf(digest, this.#generations)) names.set(lookup.toString("hex"), name);
    const { rows } = await this.#pool.query<Row & { lookup: Buffer; before_ms: string | null }>(FIND, [
      [...names.keys()].map((lookup) => `\\x${lookup}`),
    ]);
    const erased = new Map<string, SubjectKey["erased"]>();
    for (const { id, lookup, before_ms } of rows) {
      const name = names.get(lookup.toString("hex")) ?? "";
      const beforeMs = Number(before_ms);
      // The last of several.
      if (before_ms !== null && beforeMs > (erased.get(name)?.beforeMs ?? -1))
        erased.set(name, { subject: id, beforeMs });
    }
    const found = new Map<string, SubjectKey>();
    for (const row of rows) {
      const name = names.get(row.lookup.toString("hex")) ?? "";
      if (row.before_ms === null)
        found.set(name, { id: row.id, key: keyIn(row, this.#generations), erased: erased.get(name) });
    }
    return found;
  }

  /** To be found: only a look that comes behind can tell whether the subject was erased while its key was made. */
  async #make(missing: ReadonlyMap<string, Buffer>): Promise<void> {
    const number = this.#generations.newest();
    const keys = this.#generations.keys(number);
    if (keys === undefined) return;
    await this.#pool.query(GENERATION, [number, this.#nowMs()]);
    const digests = [...missing.values()];
    await this.#pool.query(MAKE, [
      digests.map(() => randomUUID()),
      digests.map((digest) => hex(lookupOf(digest, keys))),
      digests.map((digest) => hex(wrapSubject(randomBytes(KEY_BYTES), digest, keys))),
      number,
    ]);
  }
}

const FORGET_MS = 60_000;
const MOST_KNOWN = 10_000;
const MOST_TRIES = 5;

const hex = (bytes: Buffer): string => `\\x${bytes.toString("hex")}`;

const FIND = `
  select id, lookup, wrapped, generation, null::bigint as before_ms from audit_keys.subject where lookup = any($1::bytea[])
  union all
  select subject, lookup, wrapped, generation, before_ms from audit_keys.tombstone where lookup = any($1::bytea[])`;

export const GENERATION =
  "insert into audit_keys.generation (number, made_at_ms) values ($1, $2) on conflict do nothing";

// A generation that is being destroyed takes no more.
const MAKE = `
  with living as (select number from audit_keys.generation where number = $4 and destroyed_at_ms is null for share)
  insert into audit_keys.subject (id, lookup, wrapped, generation)
  select s.id, s.lookup, s.wrapped, l.number from living l, unnest($1::uuid[], $2::bytea[], $3::bytea[]) s(id, lookup, wrapped)`;
