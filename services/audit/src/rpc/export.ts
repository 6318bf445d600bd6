import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import { asStored } from "../flows/browse.ts";
import { filterOf } from "./convert.ts";
import { leafToWire } from "./convert-proof.ts";
import type { Handling } from "./routes.ts";

type Handler = ServiceImpl<typeof audit.AuditProofService>["export"];

export const exportLog = ({ proofs, lookups, requireAdmin }: Handling): Handler =>
  async function* ({ fromIndex, toIndex, includePayloads, filter }, context) {
    requireAdmin(context.requestHeader);
    const only = filter === undefined ? undefined : asStored(filterOf(filter, lookups));
    const size = await proofs.size();
    const to = toIndex === 0n ? size : Math.min(Number(toIndex), size);
    for (let at = Number(fromIndex); at < to && !context.signal.aborted; ) {
      const leaves = await proofs.leaves(at, to, includePayloads, only);
      const last = leaves.at(-1);
      // An index that is not there is the auditor's to find: what is behind it comes all the same.
      if (last === undefined) return;
      yield { leaves: leaves.map(leafToWire) };
      at = last.index + 1;
    }
  };
