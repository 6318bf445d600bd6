import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import type { Routing } from "./routes.ts";

/** The stream's own call goes on until its `end`; whoever started it may be a caller of another process, who cannot reach into it. */
export function cancelRpc({ streams }: Routing) {
  return ({ requestId }: router.CancelRequest): router.CancelResponse => {
    const running = streams.get(requestId);
    running?.abort();
    return create(router.CancelResponseSchema, { found: running !== undefined });
  };
}
