import { WeirError } from "@weir/kernel";
import { consistencyPath, inclusionPath, joined, type LeafRange, type Sha256, subtreesOf } from "@weir/proofs";
import type { LogLeaf } from "../domain/log-leaf.ts";
import type { ProofReader, StoredHead } from "../ports.ts";

export interface InclusionProof {
  readonly leaf: LogLeaf;
  readonly head: StoredHead;
  readonly path: readonly Uint8Array[];
}

export interface ConsistencyProof {
  readonly first: StoredHead;
  readonly second: StoredHead;
  readonly path: readonly Uint8Array[];
}

/**
 * Proofs from what is stored: nothing is checked here, whoever gets them does.
 * @throws WeirError not_found for a record or head there is none of, invalid_request for a record that is younger than the head
 */
export function prover(log: ProofReader, sha256: Sha256) {
  async function headOf(size: number): Promise<StoredHead> {
    const head = await log.head(size === 0 ? undefined : size);
    if (head !== undefined) return head;
    const what = size === 0 ? "The log has no tree head yet." : `There is no tree head of size ${size}.`;
    throw new WeirError("not_found", `${what} One is signed on an interval, when records have come.`);
  }

  async function hashesOf(path: readonly LeafRange[]): Promise<Uint8Array[]> {
    const parts = path.map(subtreesOf);
    const roots = await log.subtreeRoots(parts.flat());
    let at = 0;
    return parts.map((part) => joined(sha256, roots.slice(at, (at += part.length))) as Uint8Array);
  }

  return {
    async inclusion(index: number, size: number): Promise<InclusionProof> {
      const head = await headOf(size);
      if (index >= head.size) {
        throw new WeirError(
          "not_found",
          `The tree head of size ${head.size} does not have the record at ${index} yet; ask again after the next head.`,
        );
      }
      const [leaf] = await log.leaves(index, index + 1, false);
      if (leaf === undefined) throw new WeirError("not_found", `The log has no record at ${index}.`);
      return { leaf, head, path: await hashesOf(inclusionPath(index, head.size)) };
    },
    async inclusionOfRequest(requestId: string, size: number): Promise<InclusionProof> {
      const index = await log.indexOfRequest(requestId);
      if (index === undefined) throw new WeirError("not_found", `The audit log has no request ${requestId}.`);
      return this.inclusion(index, size);
    },
    async consistency(firstSize: number, secondSize: number): Promise<ConsistencyProof> {
      const second = await headOf(secondSize);
      const first = await headOf(firstSize);
      if (first.size > second.size) {
        throw new WeirError("invalid_request", "The first tree head must not be larger than the second.", {
          param: "first",
        });
      }
      return { first, second, path: await hashesOf(consistencyPath(first.size, second.size)) };
    },
  };
}

export type Prover = ReturnType<typeof prover>;
