import type pg from "pg";
import type { Delivery, WarningRow, WebhookRow } from "../domain/books.ts";
import type { BudgetUnit } from "../domain/key-policy.ts";
import type { BudgetPeriod } from "../domain/periods.ts";
import type { PlaceOfRow } from "../domain/rows.ts";
import type { BudgetSubject } from "../domain/subjects.ts";
import type { Warnings } from "../ports.ts";
import { withClearErrors } from "./postgres-transaction.ts";

interface WarningColumns {
  readonly id: string;
  readonly budget_id: number;
  readonly place: PlaceOfRow["kind"];
  readonly place_id: string;
  readonly attribute_name: string | null;
  readonly attribute_value: string | null;
  readonly workspace_id: string | null;
  readonly workspace: string | null;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly per: BudgetSubject;
  readonly hard: boolean;
  readonly subject: string;
  readonly start: string;
  readonly percent: number;
  readonly spent: string;
  readonly limit_amount: string;
  readonly at: string;
  readonly delivery: WarningRow["delivery"];
}

const WARNING = `
  select w.id, b.id as budget_id, b.place, b.place_id, a.name as attribute_name, a.value as attribute_value, k.id as workspace_id, k.name as workspace,
    b.unit, b.period, b.per, b.hard, p.subject, extract(epoch from p.start_at) * 1000 as start, w.percent, w.spent, w.limit_amount,
    extract(epoch from w.warned_at) * 1000 as at,
    case when d.warning_id is null then '' when d.ended_at is null then 'waiting' when d.sent then 'sent' else 'given up' end as delivery
  from warning w join budget_period p on p.id = w.budget_period_id join budget b on b.id = p.budget_id
    left join attribute a on a.id = b.place_id left join workspace k on k.id = workspace_of(b.place, b.place_id)
    left join warning_delivery d on d.warning_id = w.id`;

function warningRow(row: WarningColumns): WarningRow {
  const attribute =
    row.attribute_name === null
      ? {}
      : {
          attribute: {
            name: row.attribute_name,
            value: row.attribute_value ?? "",
            workspaceId: row.workspace_id ?? "",
          },
        };
  return {
    id: row.id,
    budgetId: row.budget_id,
    place: { kind: row.place, id: row.place_id, ...attribute },
    workspace: row.workspace ?? "",
    unit: row.unit,
    period: row.period,
    per: row.per,
    hard: row.hard,
    subject: row.subject,
    periodStartMs: Math.floor(Number(row.start)),
    percent: row.percent,
    spent: BigInt(row.spent),
    limit: BigInt(row.limit_amount),
    atMs: Math.floor(Number(row.at)),
    delivery: row.delivery,
  };
}

interface WebhookColumns {
  readonly workspace_id: string;
  readonly url: string;
  readonly created: string;
  readonly last_error: string;
  readonly waiting: string;
}

const WEBHOOK = `h.workspace_id, h.url, extract(epoch from h.created_at) * 1000 as created, h.last_error,
  (select count(*) from warning_delivery d where d.workspace_id = h.workspace_id and d.ended_at is null) as waiting`;

const webhookRow = (row: WebhookColumns): WebhookRow => ({
  workspaceId: row.workspace_id,
  url: row.url,
  createdAtMs: Math.floor(Number(row.created)),
  lastError: row.last_error,
  waiting: Number(row.waiting),
});

export function postgresWarnings(pool: pg.Pool): Warnings {
  const rows = <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> =>
    withClearErrors(async () => (await pool.query<T>(text, values)).rows);

  return {
    async list(workspaceId, most) {
      const found = await rows<WarningColumns>(
        `${WARNING} where $1::uuid is null or k.id = $1 order by w.id desc limit $2`,
        [workspaceId ?? null, most],
      );
      return found.map(warningRow);
    },
    async putWebhook(workspaceId, url, secret) {
      const [row] = await rows<WebhookColumns>(
        `insert into webhook as h (workspace_id, url, secret) values ($1, $2, $3)
          on conflict (workspace_id) do update set url = $2, secret = $3, created_at = now(), last_error = '' returning ${WEBHOOK}`,
        [workspaceId, url, secret],
      );
      return webhookRow(row as WebhookColumns);
    },
    async webhooks(workspaceId) {
      const found = await rows<WebhookColumns>(
        `select ${WEBHOOK} from webhook h where $1::uuid is null or h.workspace_id = $1 order by h.created_at`,
        [workspaceId ?? null],
      );
      return found.map(webhookRow);
    },
    async deleteWebhook(workspaceId) {
      await rows("update warning_delivery set ended_at = now() where workspace_id = $1 and ended_at is null", [
        workspaceId,
      ]);
      return (
        (await rows("delete from webhook where workspace_id = $1 returning workspace_id", [workspaceId])).length > 0
      );
    },
    async claim(most, leaseMs): Promise<Delivery[]> {
      const claimed = await rows<{ id: string }>("select id from claim_deliveries($1, make_interval(secs => $2)) id", [
        most,
        leaseMs / 1000,
      ]);
      if (claimed.length === 0) return [];
      const found = await rows<WarningColumns & { url: string; secret: string; attempts: number }>(
        `select x.*, h.url, h.secret, d.attempts from (${WARNING} where w.id = any($1::bigint[])) x
          join warning_delivery d on d.warning_id = x.id join webhook h on h.workspace_id = d.workspace_id`,
        [claimed.map(({ id }) => id)],
      );
      return found.map((row) => ({
        warning: warningRow(row),
        url: row.url,
        secret: row.secret,
        attempts: row.attempts,
      }));
    },
    async end(warningId, { sent, error, nextInMs }) {
      await rows(
        `update warning_delivery set sent = $2, ended_at = case when $3::float8 is null then now() end,
          next_at = now() + make_interval(secs => coalesce($3, 0) / 1000) where warning_id = $1`,
        [warningId, sent, nextInMs ?? null],
      );
      await rows(
        "update webhook set last_error = $2 where workspace_id = (select workspace_id from warning_delivery where warning_id = $1)",
        [warningId, error.slice(0, 300)],
      );
    },
    async unannounced(most) {
      const recent = "not w.announced and w.warned_at > now() - interval '1 day'";
      const found = await rows<WarningColumns>(`${WARNING} where ${recent} order by w.id limit $1`, [most]);
      return found.map(warningRow);
    },
    async announced(warningId) {
      await rows("update warning set announced = true where id = $1", [warningId]);
    },
    async onWarning(callback) {
      const client = await pool.connect();
      client.on("notification", callback);
      client.once("error", callback);
      try {
        await client.query("listen weir_policy_warning");
      } catch (error) {
        client.release(true);
        throw error;
      }
      return {
        async [Symbol.asyncDispose]() {
          client.release(true);
        },
      };
    },
  };
}
