import type { AttributeTable } from "@weir/rules";
import type { AttributePolicy, KeyPolicy } from "./key-policy.ts";

/** Which key's view a version of the directory changed, or of which workspace the attributes. */
export interface Change {
  readonly version: number;
  readonly keyId: string;
  /** Then `keyId` is a workspace's. */
  readonly isWorkspace: boolean;
}

export interface DirectoryState {
  readonly version: number;
  /** Of keys that may be used; a changed key that is not among them may not be used any more. */
  readonly keys: readonly KeyPolicy[];
  /** Of the workspaces that changed, or of all that have attributes with bounds; undefined: it has none any more. */
  readonly attributes: ReadonlyMap<string, AttributeTable<AttributePolicy> | undefined>;
  /** Ascending without a gap, the last one `version`; may be empty. */
  readonly changes: readonly Change[];
  /** Of the keys that were revoked, those whose running requests end, too; of `load`, all of the last day. */
  readonly ended: readonly string[];
}
