/** What a retention run takes away: records with all that is left of them, or payloads only. */
export type RetentionSubject = "records" | "payloads";

/** How long is kept what; 0: for ever. */
export interface RetentionTimes {
  readonly recordsMs: number;
  readonly payloadsMs: number;
}

export interface RetentionPolicy extends RetentionTimes {
  /** "": the default of all that have none of their own. */
  readonly workspaceId: string;
  /** It has none of its own any more. */
  readonly inherits: boolean;
  readonly sinceMs: number;
  /** Of its record in the log. */
  readonly index: number;
  /** What removal goes by now: a shorter time counts seven days after it was set. */
  readonly effective: RetentionTimes;
}

/** What one step removed, or would remove, of one workspace. */
export interface Removal {
  readonly subject: RetentionSubject;
  readonly workspaceId: string;
  readonly count: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Of the record that says so; undefined in a dry run. */
  readonly index: number | undefined;
}

export interface RetentionStep {
  readonly removals: readonly Removal[];
  /** Where the next stretch begins behind; undefined: there is nothing more that could be due. */
  readonly next: number | undefined;
}

export interface HoldScope {
  readonly workspaceId: string;
  /** "": all keys. */
  readonly keyId: string;
  readonly fromMs: number;
  /** Exclusive; 0: it has no end. */
  readonly toMs: number;
}

export interface LegalHold extends HoldScope {
  readonly id: string;
  readonly reason: string;
  readonly atMs: number;
  readonly index: number;
  /** Undefined: it holds. */
  readonly release: { readonly reason: string; readonly atMs: number; readonly index: number } | undefined;
}
