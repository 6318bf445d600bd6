/** Undefined: none of the workspace's answers. */
export interface Sampling {
  readonly workspaceId: string;
  /** 0 to 1. */
  readonly share: number;
  readonly evaluators: readonly { readonly name: string; readonly version: number }[];
  /** "": none. */
  readonly embeddingModel: string;
}

/** Whether a request is one of the share: the same ones each time, and more of them under a larger share. @param hash 32 bits of a hash of its id */
export const isSampled = (hash: number, share: number): boolean => (hash >>> 0) / 0x1_0000_0000 < share;
