import { DatabaseSync } from "node:sqlite";
import { type DeadLetter, DEAD_LETTER_AGE_MS, type DeadLetters } from "./dead-letters.ts";

/** Of all letters: some GB at most, and mostly a few MB. */
const MOST = 10_000;
/** Another thread writes. */
const BUSY_MS = 5_000;

interface Row {
  readonly place: number;
  readonly id: string;
  readonly consumer: string;
  readonly producer: string;
  readonly first: number;
  readonly last: number;
  readonly reason: string;
  readonly at_ms: number;
  readonly data: Uint8Array;
}

/** For one machine: a file that several threads may have open. */
export function sqliteDeadLetters(path: string): DeadLetters {
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  database.exec(`
    pragma journal_mode = wal;
    pragma secure_delete = on;
    create table if not exists dead_letter (
      place integer primary key autoincrement, id text not null unique, consumer text not null, producer text not null,
      first integer not null, last integer not null, reason text not null, at_ms integer not null, data blob not null
    )`);
  const insert = database.prepare(
    "insert into dead_letter (id, consumer, producer, first, last, reason, at_ms, data) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
  );
  const forget = database.prepare(
    "delete from dead_letter where at_ms < ? or place <= (select place from dead_letter order by place desc limit 1 offset ?)",
  );
  const page = database.prepare("select * from dead_letter where place > ? order by place limit ?");
  const one = database.prepare("select * from dead_letter where id = ?");
  const remove = database.prepare("delete from dead_letter where id = ?");
  return {
    async put(letters) {
      database.exec("begin immediate");
      try {
        for (const { id, consumer, producer, first, last, reason, atMs, data } of letters)
          insert.run(id, consumer, producer, first, last, reason, atMs, data);
        const newest = Math.max(...letters.map(({ atMs }) => atMs));
        if (letters.length > 0) forget.run(newest - DEAD_LETTER_AGE_MS, MOST);
        database.exec("commit");
      } catch (error) {
        database.exec("rollback");
        throw error;
      }
    },
    async list(after, limit) {
      const rows = page.all(after, limit + 1) as unknown as Row[];
      const letters = rows.slice(0, limit);
      return { letters: letters.map(letterOf), next: rows.length > limit ? letters.at(-1)?.place : undefined };
    },
    async get(id) {
      const row = one.get(id) as unknown as Row | undefined;
      return row === undefined ? undefined : letterOf(row);
    },
    drop: async (id) => remove.run(id).changes > 0,
    async [Symbol.asyncDispose]() {
      if (database.isOpen) database.close();
    },
  };
}

const letterOf = ({ id, consumer, producer, first, last, reason, at_ms: atMs, data }: Row): DeadLetter => ({
  id,
  consumer,
  producer,
  first,
  last,
  reason,
  atMs,
  data,
});
