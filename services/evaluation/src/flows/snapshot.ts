import { WeirError } from "@weir/kernel";
import { recordedLine } from "../domain/dataset.ts";
import { isSampled } from "../domain/sampling.ts";
import type { RunStore, Traffic, TrafficFilter, TrafficRecord } from "../ports.ts";
import { patiently, type Wait } from "./patiently.ts";
import { UPLOAD_MS } from "./runs.ts";

export interface SnapshotQuestion extends TrafficFilter {
  readonly name: string;
  /** All of them. */
  readonly tags: Readonly<Record<string, string>>;
  /** 0 to 1; 0: all. */
  readonly share: number;
  readonly seed: number;
  /** 0: the default. */
  readonly maxRecords: number;
}

export interface SnapshotDependencies {
  readonly store: Pick<RunStore, "startUpload" | "append" | "commit">;
  readonly traffic: Traffic;
  readonly newId: (nowMs: number) => string;
  /** 32 bits of a hash. */
  readonly hash32: (text: string) => number;
  readonly wait: Wait;
  readonly nowMs: () => number;
}

const MOST_RECORDS = 100_000;

/**
 * Chooses requests of the audit log, newest first, and keeps their ids and the hashes of their leaves; no text is read. Asked again with the same
 * bounds in time, it finds the same ones and is the same dataset.
 */
export async function* snapshotTraffic(
  question: SnapshotQuestion,
  signal: AbortSignal,
  deps: SnapshotDependencies,
): AsyncGenerator<{ readonly records: number; readonly dataset: string }> {
  const { store, traffic, nowMs } = deps;
  if (traffic.unusable !== undefined) throw new WeirError("invalid_request", traffic.unusable);
  const atMs = nowMs();
  const filter = { ...question, toMs: question.toMs === 0 ? atMs : question.toMs };
  const most = question.maxRecords === 0 ? MOST_RECORDS : question.maxRecords;
  const upload = deps.newId(atMs);
  await store.startUpload(upload, question.name, "recorded", atMs);
  let records = 0;
  for (let page: string | undefined = ""; page !== undefined && records < most; ) {
    const asked: string = page;
    const found = await patiently(() => traffic.list(filter, asked), deps.wait, signal);
    const chosen = found.records.filter((record) => isChosen(record, question, deps)).slice(0, most - records);
    const lines = chosen.map(({ requestId: record, leaf }) => recordedLine({ record, leaf }));
    if (lines.length > 0) records = await store.append(upload, records, lines, atMs - UPLOAD_MS);
    yield { records, dataset: "" };
    if (signal.aborted) return;
    page = found.next === "" ? undefined : found.next;
  }
  if (records === 0) throw new WeirError("not_found", "No recorded request is as asked for.");
  const { digest } = await store.commit(upload, nowMs(), atMs - UPLOAD_MS);
  yield { records, dataset: digest };
}

function isChosen(
  { requestId, tags }: TrafficRecord,
  { share, seed, tags: wanted }: SnapshotQuestion,
  { hash32 }: SnapshotDependencies,
): boolean {
  if (!Object.entries(wanted).every(([name, value]) => tags[name] === value)) return false;
  return share === 0 || isSampled(hash32(`${seed} ${requestId}`), share);
}
