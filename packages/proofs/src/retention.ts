/** What the log's own records say of retention, and whether it was kept to: as retain() in the log's database has it, and apart from it. */
import { rangesOfRuns } from "./runs.ts";
import type { NumberRange } from "./numbers.ts";

/** The producer of what the log records of itself. */
export const OWN_PRODUCER = "weir.audit";

export type RetentionSubject = "records" | "payloads";

/** What a record of the log's own says. */
export type OwnRecord =
  | {
      readonly kind: "policy";
      readonly atMs: number;
      readonly workspaceId: string;
      readonly inherits: boolean;
      /** 0: for ever. */
      readonly recordsMs: number;
      readonly payloadsMs: number;
    }
  | {
      readonly kind: "hold";
      readonly id: string;
      readonly workspaceId: string;
      readonly keyId: string;
      readonly fromMs: number;
      readonly toMs: number;
    }
  | { readonly kind: "release"; readonly id: string }
  | {
      readonly kind: "removal";
      readonly atMs: number;
      readonly subject: RetentionSubject;
      readonly workspaceId: string;
      readonly keepMs: number;
      readonly beforeMs: number;
      readonly count: number;
      readonly runs: readonly bigint[];
    };

type Policy = Extract<OwnRecord, { kind: "policy" }>;
type Hold = Extract<OwnRecord, { kind: "hold" }>;
export type RemovalRecord = Extract<OwnRecord, { kind: "removal" }>;

/** A shorter time counts so long after it was set. */
export const SHORTENING_GRACE_MS = 7 * 86_400_000;

/** The policies and holds up to some place in the log. */
export class RetentionRules {
  readonly #policies = new Map<string, Policy[]>();
  readonly #holds = new Map<string, Hold>();

  take(record: OwnRecord): void {
    if (record.kind === "policy") {
      const known = this.#policies.get(record.workspaceId);
      if (known === undefined) this.#policies.set(record.workspaceId, [record]);
      else known.push(record);
    }
    if (record.kind === "hold") this.#holds.set(record.id, record);
    if (record.kind === "release") this.#holds.delete(record.id);
  }

  /**
   * What a removal removed, by index.
   * @returns why it should not have, where the records before it say so
   */
  check(removal: RemovalRecord): { readonly ranges: readonly NumberRange[]; readonly why: string | undefined } {
    let ranges: NumberRange[];
    try {
      ranges = rangesOfRuns(removal.runs);
    } catch (error) {
      return { ranges: [], why: error instanceof Error ? error.message : String(error) };
    }
    return { ranges, why: this.#why(removal, ranges) };
  }

  #why(removal: RemovalRecord, ranges: readonly NumberRange[]): string | undefined {
    const { atMs, keepMs, beforeMs, count, subject, workspaceId } = removal;
    const keep = this.#keeping(workspaceId, subject, atMs);
    if (keep === undefined) return "no policy let these go";
    if (keepMs < keep) return `the policy keeps ${subject} for ${keep} ms, and they were kept for ${keepMs} ms`;
    if (beforeMs > atMs - keepMs) return "what it removed was younger than its policy says";
    if (ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0) !== count) {
      return "it names another number of them than it states";
    }
    // A hold of a key or of some time only cannot be told from what is left of the records.
    const hold = [...this.#holds.values()].find(
      (one) => one.workspaceId === workspaceId && one.keyId === "" && one.fromMs === 0 && one.toMs === 0,
    );
    return hold === undefined ? undefined : `the legal hold ${hold.id} covers them`;
  }

  /** Undefined: for ever. */
  #keeping(workspaceId: string, subject: RetentionSubject, atMs: number): number | undefined {
    const start = atMs - SHORTENING_GRACE_MS;
    const changes = [...(this.#policies.get(workspaceId) ?? []), ...(this.#policies.get("") ?? [])].map(
      (policy) => policy.atMs,
    );
    let longest = 0;
    for (const point of [start, ...changes.filter((change) => change > start && change <= atMs)]) {
      const policy = this.#policyAt(workspaceId, point);
      const keep = policy === undefined ? 0 : subject === "records" ? policy.recordsMs : policy.payloadsMs;
      if (keep === 0) return undefined;
      longest = Math.max(longest, keep);
    }
    return longest;
  }

  #policyAt(workspaceId: string, atMs: number): Policy | undefined {
    const own = this.#policies.get(workspaceId)?.findLast((policy) => policy.atMs <= atMs);
    if (own !== undefined && !own.inherits) return own;
    return this.#policies.get("")?.findLast((policy) => policy.atMs <= atMs);
  }
}
