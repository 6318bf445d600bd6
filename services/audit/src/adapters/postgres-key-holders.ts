import { WeirError } from "@weir/kernel";
import type pg from "pg";
import type { LogRecord } from "../domain/record.ts";
import type { TransportKeys } from "../ports.ts";
import type { KeyFolder } from "./key-folder.ts";
import { asUnavailable } from "./unavailable.ts";

/** Who was told which transport key, and who has gone on to a later one. */
export interface KeyHolders {
  /**
   * The newest key, which is kept from then on until all that the producer may seal to it is stored.
   * @throws WeirError audit_unavailable, internal
   */
  newestFor(producer: string): Promise<{ readonly number: number; readonly publicKey: Uint8Array }>;
  /** Looks at marks: what a producer writes behind one is sealed to that key or to later ones. @throws WeirError audit_unavailable */
  moved(records: readonly LogRecord[]): Promise<void>;
}

/** Two keys are made between a question and its answer only where somebody rotates by hand. */
const MOST_TRIES = 5;
const MOST_PRODUCERS = 10_000;

export function postgresKeyHolders(
  pool: Pick<pg.ClientBase, "query">,
  keys: TransportKeys,
  folder: KeyFolder,
  nowMs: () => number,
): KeyHolders {
  /** What each is known to use: most marks tell nothing new. */
  const using = new Map<string, number>();
  return {
    async newestFor(producer) {
      try {
        await folder.requireOwn(pool);
        for (let tries = 0; tries < MOST_TRIES; tries += 1) {
          const newest = keys.newest();
          const { rows } = await pool.query<{ living: string }>(TELL, [producer, newest.number, newest.id]);
          if (rows[0]?.living === "1") return newest;
          await pool.query(TRANSPORT_KEY, [newest.number, newest.id, nowMs()]);
        }
      } catch (error) {
        throw asUnavailable(error);
      }
      throw new WeirError("audit_unavailable", "The transport key is just being replaced.", { retryAfterMs: 1_000 });
    },
    async moved(records) {
      const news = new Map<string, { number: number; transportKey: number }>();
      for (const { producer, number, transportKey = 0 } of records) {
        const known = news.get(producer)?.transportKey ?? using.get(producer) ?? 0;
        if (transportKey > known) news.set(producer, { number, transportKey });
      }
      for (const [producer, { number, transportKey }] of news) {
        try {
          await pool.query(MOVED, [producer, transportKey, number]);
        } catch (error) {
          throw asUnavailable(error);
        }
        if (using.size >= MOST_PRODUCERS) using.clear();
        using.set(producer, transportKey);
      }
    },
  };
}

export const TRANSPORT_KEY =
  "insert into audit_keys.transport_key (number, id, made_at_ms) values ($1, $2, $3) on conflict do nothing";

// A key that is being destroyed is told to nobody, nor one that was made in the place of a lost one.
const TELL = `
  with living as (select number from audit_keys.transport_key where number = $2 and id = $3 and destroyed_at_ms is null for share),
  told as (insert into audit_keys.key_holder (producer, transport_key) select $1, number from living on conflict do nothing)
  select count(*) as living from living`;

const MOVED = `
  update audit_keys.key_holder set moved_on = least(moved_on, $3::bigint)
  where producer = $1 and transport_key < $2 and (moved_on is null or moved_on > $3)`;
