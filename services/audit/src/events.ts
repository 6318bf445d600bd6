/** What the service tells operators: metrics and log lines. Nothing else in this service writes either. */
import { createCounter, createGauge, type Telemetry } from "@weir/telemetry";
import type { CustodyEvents } from "./adapters/custodian.ts";
import type { ErasureEvents } from "./flows/erase.ts";
import type { HeadEvents } from "./flows/heads.ts";
import type { RetentionEvents } from "./flows/retain.ts";
import type { StoreEvents } from "./flows/store.ts";

const AWAY = "the audit log's database is away";

export interface AuditEvents extends StoreEvents, HeadEvents, RetentionEvents, CustodyEvents, ErasureEvents {
  /** What was erased was there again, and was erased once more. */
  readonly replayed: (erasures: number) => void;
  /** Why the store cannot be used right now. */
  readonly away: string | undefined;
  /** The store answered. */
  readonly back: () => void;
  /** The store cannot be reached. */
  readonly gone: (error: unknown) => void;
  /** The store refuses us; only an operator can help. */
  readonly failed: (error: unknown) => void;
  /** A batch held bytes that are no frame. */
  readonly unread: (producer: string, bytes: number) => void;
}

export function auditEvents({ log, metrics }: Pick<Telemetry, "log" | "metrics">): AuditEvents {
  const records = createCounter(metrics, "weir_audit_records_total", "Records delivered, by what became of them.", [
    "result",
  ]);
  const stored = records.series("stored");
  const known = records.series("known");
  const quarantinedSeries = createCounter(
    metrics,
    "weir_audit_quarantined_total",
    "Records kept as bytes because they could not be read or stored.",
    [],
  ).series();
  let away: string | undefined = "the audit log's database is being prepared";
  createGauge(metrics, "weir_audit_store_up", "1 while the database takes records.", () =>
    away === undefined ? 1 : 0,
  );

  const heads = createCounter(metrics, "weir_audit_heads_total", "Signed tree heads, by what became of them.", [
    "result",
  ]);
  const [signedHeads, failedHeads] = [heads.series("signed"), heads.series("failed")];
  const [publishedHeads, unpublishedHeads] = [heads.series("published"), heads.series("publish_failed")];
  let headedSize = 0;
  createGauge(
    metrics,
    "weir_audit_head_size",
    "Records under the last tree head that this process signed.",
    () => headedSize,
  );
  const removed = createCounter(
    metrics,
    "weir_audit_removed_total",
    "Records and payloads that retention has removed.",
    ["subject"],
  );
  const removedOf = { records: removed.series("records"), payloads: removed.series("payloads") };
  const unopenableSeries = createCounter(
    metrics,
    "weir_audit_unopenable_total",
    "Payloads stored though no key opens them: theirs was destroyed too early, or is lost.",
    [],
  ).series();
  const failing = new Set<string>();
  /** One line when something begins to fail and one when it works again. */
  const turned = (what: string, error: unknown): void => {
    if (error === undefined) {
      if (failing.delete(what)) log.info({ what }, "works again");
    } else if (!failing.has(what)) {
      failing.add(what);
      log.error({ err: error, what }, "it is behind: nothing is lost, it is made up for");
    }
  };

  // One line when it goes and one when it is back, not one per try.
  const gone = (error: unknown): void => {
    if (away !== AWAY) log.warn({ err: error }, AWAY);
    away = AWAY;
  };
  const back = (): void => {
    if (away !== undefined) log.info("the audit log takes records");
    away = undefined;
  };
  return {
    get away() {
      return away;
    },
    back,
    gone,
    storeAway: (error) => gone(error.cause),
    stored(given, fresh) {
      back();
      stored.add(fresh);
      known.add(given - fresh);
    },
    quarantined(record, error) {
      quarantinedSeries.add(1);
      const { producer, number, kind } = record;
      log.error({ err: error, producer, number, kind }, "the store refuses a record; it is kept as bytes only");
    },
    signed(size) {
      headedSize = size;
      signedHeads.add(1);
      turned("signing", undefined);
    },
    headFailed(error) {
      failedHeads.add(1);
      turned("signing", error);
    },
    published(place) {
      publishedHeads.add(1);
      turned(place, undefined);
    },
    placeFailed(place, error) {
      unpublishedHeads.add(1);
      turned(place, error);
    },
    unread(producer, bytes) {
      quarantinedSeries.add(1);
      log.error({ producer, bytes }, "bytes that are no record are kept as they came");
    },
    removed({ subject, workspaceId, count, index }) {
      removedOf[subject].add(count);
      log.info({ subject, workspaceId, count, index }, "retention removed what need not be kept any more");
    },
    retained: () => turned("retention", undefined),
    retentionFailed: (error) => turned("retention", error),
    unopenable(record, error) {
      unopenableSeries.add(1);
      const { producer, number } = record;
      log.error({ err: error, producer, number }, "a payload is stored that nobody can open");
    },
    replayed: (erasures) =>
      log.warn({ erasures }, "an older database was restored: what was erased is erased once more"),
    erasuresAdvanced(completed) {
      turned("erasure", undefined);
      if (completed > 0) log.info({ completed }, "erasures are complete");
    },
    erasuresFailed: (error) => turned("erasure", error),
    failed(error) {
      away = "the audit log cannot be used";
      log.error({ err: error }, away);
    },
  };
}
