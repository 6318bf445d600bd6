import { WeirError } from "@weir/kernel";
import type { Gap, LogEntry, LogFilter, ModelTotal, Watermark } from "../domain/log-entry.ts";
import { cursorOf, pageSize, pageToken } from "../domain/page.ts";
import { searchable, uuidOrNone } from "@weir/proofs";
import type { LogReader, PayloadOpener } from "../ports.ts";

export interface EntryPage {
  readonly entries: readonly LogEntry[];
  /** "": there is no more. */
  readonly nextPageToken: string;
}

/** What can be asked of the log. All reject with WeirError audit_unavailable while its store is away. */
export interface LogBrowser {
  /** Oldest first. @throws WeirError not_found; invalid_request for what is no UUID */
  entriesOfRequest(requestId: string): Promise<readonly LogEntry[]>;
  /** What the payloads of those entries hold, opened, by index. @throws WeirError not_found where the key is not here */
  payloadsOfRequest(requestId: string): Promise<ReadonlyMap<number, Uint8Array | "erased">>;
  /** Newest first. @throws WeirError invalid_request for a token that was not given out here */
  list(filter: LogFilter, page: { readonly size: number; readonly token: string }): Promise<EntryPage>;
  watermarks(producers: readonly string[]): Promise<readonly Watermark[]>;
  gaps(): Promise<readonly Gap[]>;
  summarize(workspaceId: string, fromMs: number | undefined, toMs: number | undefined): Promise<readonly ModelTotal[]>;
}

/** More than anybody reads; what matters then is that there are gaps. */
const MOST_GAPS = 10_000;

export function logBrowser(log: LogReader, payloads: PayloadOpener): LogBrowser {
  return {
    async entriesOfRequest(requestId) {
      const id = checkedId(requestId);
      const entries = await log.ofRequest(id);
      if (entries.length === 0) throw new WeirError("not_found", `The audit log has no request ${id}.`);
      return entries;
    },
    async payloadsOfRequest(requestId) {
      return payloads.open(await log.payloadsOfRequest(checkedId(requestId)));
    },
    async list(filter, page) {
      const limit = pageSize(page.size);
      const found = await log.list(asStored(filter), cursorOf(page.token), limit + 1);
      const entries = found.slice(0, limit);
      const last = entries.at(-1);
      return { entries, nextPageToken: found.length > limit && last !== undefined ? pageToken(last) : "" };
    },
    watermarks: (producers) => log.watermarks(producers.map(searchable)),
    gaps: () => log.gaps(MOST_GAPS),
    summarize: (workspaceId, fromMs, toMs) => log.summarize(searchable(workspaceId), fromMs, toMs),
  };
}

function checkedId(requestId: string): string {
  const id = uuidOrNone(requestId);
  if (id === "") throw new WeirError("invalid_request", "request_id is not a UUID.", { param: "request_id" });
  return id;
}

/** Texts are stored in their searchable form; in any other they would not be found, or not be accepted by the store. */
export const asStored = (filter: LogFilter): LogFilter => ({
  ...filter,
  workspaceId: searchable(filter.workspaceId),
  keyId: searchable(filter.keyId),
  model: searchable(filter.model),
  provider: searchable(filter.provider),
});
