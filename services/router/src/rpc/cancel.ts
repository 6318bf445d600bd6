import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import type { Routing } from "./routes.ts";

/** The stream's own call goes on until its `end`; whoever started it may be a caller of another process, who cannot reach into it. */
export function cancelRpc({ streams, cancelElsewhere }: Routing) {
  return async ({ requestId }: router.CancelRequest): Promise<router.CancelResponse> => {
    // Which of several replicas a call comes to, its caller does not choose.
    const found = cancelHere(streams, requestId) || (await cancelElsewhere(requestId));
    return create(router.CancelResponseSchema, { found });
  };
}

/** @returns whether it runs in this process */
export function cancelHere(streams: Routing["streams"], requestId: string): boolean {
  const running = streams.get(requestId);
  running?.abort();
  return running !== undefined;
}
