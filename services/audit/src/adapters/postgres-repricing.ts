import { audit } from "@weir/contracts";
import { compileCodec } from "@weir/mesh";
import type pg from "pg";
import type { RecordedAttempt, RecordedCall } from "../domain/repricing.ts";
import type { RepricingRun, RepricingStore, StoredRepricing } from "../ports.ts";
import { asUnavailable } from "./unavailable.ts";

const outcome = compileCodec(audit.OutcomeSchema);

/** A run is one transaction: it sees the log as it was, and leaves all it found or nothing. */
export function postgresRepricing(pool: pg.Pool): RepricingStore {
  const query = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, values)).rows;
    } catch (error) {
      throw asUnavailable(error);
    }
  };
  return {
    async open() {
      try {
        const client = await pool.connect();
        try {
          await client.query("begin isolation level repeatable read");
          return runOn(client);
        } catch (error) {
          client.release(true);
          throw error;
        }
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    list: (limit) => query<StoredRepricing>(`${STORED} order by at_ms desc limit $1`, [limit]),
    async find(id) {
      const [found] = await query<{ result: Buffer }>("select result from repricing where id = $1", [id]);
      return found?.result;
    },
  };
}

const STORED = "select result from repricing";

function runOn(client: pg.PoolClient): RepricingRun {
  let over = false;
  const run = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> => {
    try {
      return (await client.query<Row>(text, values)).rows;
    } catch (error) {
      throw asUnavailable(error);
    }
  };
  return {
    async calls({ workspaceId, fromMs, toMs }, after, limit) {
      interface Row {
        readonly index: string;
        readonly header: Buffer;
      }
      const ofWorkspace = workspaceId === "" ? "" : "and workspace = $5 and workspace <> ''";
      const values: unknown[] = [fromMs, toMs, after ?? -1, limit];
      if (workspaceId !== "") values.push(workspaceId);
      const rows = await run<Row>(
        `select index, header from audit_record
         where not repeated and outcome <> 0 and at_ms >= $1 and at_ms < $2 and index > $3 ${ofWorkspace}
         order by index limit $4`,
        values,
      );
      const last = rows.length < limit ? undefined : Number(rows.at(-1)?.index);
      return { calls: rows.map(({ index, header }) => callOf(Number(index), outcome.decode(header))), last };
    },
    async add(id, entries) {
      await run(
        `insert into repriced (repricing, index, recorded_nanos, repriced_nanos)
         select $1, * from unnest($2::bigint[], $3::bigint[], $4::bigint[])`,
        [
          id,
          entries.map(({ index }) => index),
          entries.map(({ recordedNanos }) => String(recordedNanos)),
          entries.map(({ repricedNanos }) => String(repricedNanos)),
        ],
      );
    },
    async finish(of) {
      await run(
        `insert into repricing (id, at_ms, version, workspace, from_ms, to_ms, records, recorded_nanos, repriced_nanos, unpriced, sheet, result)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
        [
          of.id,
          of.atMs,
          of.version,
          of.workspaceId,
          of.fromMs,
          of.toMs,
          String(of.records),
          String(of.recordedNanos),
          String(of.repricedNanos),
          String(of.unpriced),
          of.sheet,
          of.result,
        ],
      );
      await run("commit", []);
      over = true;
    },
    async [Symbol.asyncDispose]() {
      if (over) return client.release();
      // A connection that cannot roll back is of no use to the next one.
      const broken = await client.query("rollback").then(
        () => false,
        () => true,
      );
      client.release(broken);
    },
  };
}

/** What was charged by its usage; what was charged at its bound has none to price. */
function callOf(index: number, { intent, result, atMs }: audit.Outcome): RecordedCall {
  const attempts = (result?.attempts ?? []).flatMap(({ provider, model, usage, costNanos }): RecordedAttempt[] =>
    usage === undefined ? [] : [{ provider, model, usage, costNanos }],
  );
  return {
    index,
    atMs: Number(intent?.atMs ?? atMs),
    workspaceId: intent?.workspaceId ?? "",
    name: intent?.model ?? "",
    priceVersion: result?.priceVersion ?? "",
    attempts,
  };
}
