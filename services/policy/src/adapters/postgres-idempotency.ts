import type pg from "pg";
import type { Begun, IdempotencyClaim } from "../domain/idempotent.ts";
import type { IdempotencyStore } from "../ports.ts";
import { withClearErrors } from "./postgres-transaction.ts";

/** After it a retry runs, so a request whose owner was killed is not refused for longer. Owners renew three times meanwhile. */
const LEASE_MS = 15_000;
const LEASE = `${LEASE_MS} milliseconds`;
const ASK_AGAIN_MS = 1_000;
const KEPT = "24 hours";
/** Of one key, of all answers together: what is more is not kept. */
const MOST_BYTES = 256 * 1024 * 1024;
/** A name may be given up between two statements; more often than that is a defect. */
const MOST_TURNS = 3;

interface Row {
  readonly fingerprint: Buffer;
  readonly request_id: string;
  readonly finished: boolean;
  readonly answer: Buffer | null;
  readonly lease_ms: number;
}

/** By Postgres' clock alone, so that replicas need not agree on the time. */
export function postgresIdempotency(pool: pg.Pool): IdempotencyStore {
  async function begin({ keyId, name, requestId }: IdempotencyClaim, fingerprint: Uint8Array) {
    // What lost its owner is taken over by the same request only; what expired, by any.
    const { rowCount } = await pool.query(
      `insert into idempotent_request as r (key_id, name, fingerprint, request_id, lease_until, expires_at)
        values ($1, $2, $3, $4, now() + interval '${LEASE}', now() + interval '${KEPT}')
        on conflict (key_id, name) do update set fingerprint = excluded.fingerprint, request_id = excluded.request_id,
          lease_until = excluded.lease_until, finished = false, answer = null, expires_at = excluded.expires_at
        where r.expires_at <= now() or (not r.finished and r.lease_until <= now() and r.fingerprint = excluded.fingerprint)`,
      [keyId, name, fingerprint, requestId],
    );
    return rowCount === 1;
  }

  return {
    begin: (claim, fingerprint) =>
      withClearErrors(async (): Promise<Begun> => {
        for (let turn = 0; turn < MOST_TURNS; turn += 1) {
          if (await begin(claim, fingerprint)) return { state: "begun", leaseMs: LEASE_MS };
          const { rows } = await pool.query<Row>(
            `select fingerprint, request_id, finished, answer, extract(epoch from lease_until - now())::float8 * 1000 as lease_ms
              from idempotent_request where key_id = $1 and name = $2`,
            [claim.keyId, claim.name],
          );
          const [row] = rows;
          if (row === undefined) continue;
          const requestId = row.request_id;
          if (!row.fingerprint.equals(fingerprint)) return { state: "mismatch", requestId };
          if (row.finished) return { state: "answered", requestId, answer: row.answer ?? undefined };
          return {
            state: "running",
            requestId,
            retryAfterMs: Math.ceil(Math.min(ASK_AGAIN_MS, Math.max(1, row.lease_ms))),
          };
        }
        throw new Error("a name was neither free nor taken");
      }),

    renew: (claims) =>
      withClearErrors(async () => {
        await pool.query(
          `update idempotent_request r set lease_until = now() + interval '${LEASE}'
            from unnest($1::uuid[], $2::bytea[], $3::uuid[]) c(key_id, name, request_id)
            where r.key_id = c.key_id and r.name = c.name and r.request_id = c.request_id and not r.finished`,
          [claims.map(({ keyId }) => keyId), claims.map(({ name }) => name), claims.map(({ requestId }) => requestId)],
        );
      }),

    finish: ({ keyId, name, requestId }, answer) =>
      withClearErrors(async () => {
        const { rows } = await pool.query<{ kept: boolean }>(
          `update idempotent_request r set finished = true, expires_at = now() + interval '${KEPT}',
            answer = case when length($4::bytea) + (select coalesce(sum(answer_bytes), 0) from idempotent_request s
              where s.key_id = $1 and s.answer_bytes > 0 and s.name <> $2) <= ${MOST_BYTES} then $4::bytea end
            where key_id = $1 and name = $2 and request_id = $3 returning answer is not null as kept`,
          [keyId, name, requestId, answer ?? null],
        );
        return rows[0]?.kept === true;
      }),

    release: ({ keyId, name, requestId }) =>
      withClearErrors(async () => {
        await pool.query(
          "delete from idempotent_request where key_id = $1 and name = $2 and request_id = $3 and not finished",
          [keyId, name, requestId],
        );
      }),

    deleteExpired: (most) =>
      withClearErrors(async () => {
        const { rowCount } = await pool.query(
          `delete from idempotent_request where (key_id, name) in (
            select key_id, name from idempotent_request where expires_at <= now() limit $1 for update skip locked)`,
          [most],
        );
        return rowCount ?? 0;
      }),
  };
}
